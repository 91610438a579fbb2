"""Every number of a section has its range, and one that is outside is told by its key."""

from __future__ import annotations

import pytest

from balancer import Settings
from services.kit.driver_settings import CloudSettings, SystemdSettings
from services.kit.ranges import check_above_zero
from services.kit.server import ServerSettings
from services.kit.settings import UpSettings
from services.kit.workers import WorkersSettings

KINDS: list[type[Settings]] = [
    UpSettings,
    WorkersSettings,
    ServerSettings,
    SystemdSettings,
    CloudSettings,
]


@pytest.mark.parametrize("value", [0, -0.5, float("nan")])
@pytest.mark.parametrize("kind", KINDS)
def test_each_number_is_above_zero(kind: type[Settings], value: float) -> None:
    made = kind()
    numbers = [
        name
        for name in kind.__struct_fields__
        if isinstance(default := getattr(made, name), (int, float))
        and not isinstance(default, bool)
    ]
    assert numbers
    for name in numbers:
        with pytest.raises(ValueError, match=f"^{name} must be above 0$"):
            kind(**{name: value})


@pytest.mark.parametrize("kind", [UpSettings, WorkersSettings])
def test_waits_grow(kind: type[Settings]) -> None:
    kind(restart_first_s=3.0, restart_most_s=3.0)
    with pytest.raises(ValueError, match=r"^restart_most_s must be at least restart_first_s$"):
        kind(restart_first_s=3.0, restart_most_s=2.9)


class Mixed(Settings, frozen=True, kw_only=True):
    """A section with a number and a yes or no."""

    wait_s: float = 1.0
    eager: bool = False

    def __post_init__(self) -> None:
        check_above_zero(self)


def test_a_no_is_not_a_number() -> None:
    assert Mixed().eager is False
    assert Mixed(eager=True).eager is True
    with pytest.raises(ValueError, match=r"^wait_s must be above 0$"):
        Mixed(wait_s=0.0)
