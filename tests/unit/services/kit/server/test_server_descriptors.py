"""How many connections there is room for, and what is done to make room."""

from __future__ import annotations

import resource

import pytest

from services.kit.server.descriptors import connections_at_most

NO_END = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "raised_to", "room"),
    [
        ((NO_END, NO_END), None, 1000),
        ((1100, 1100), None, 1000),
        ((50_000, 50_000), None, 1000),
        ((256, NO_END), 1100, 1000),
        ((256, 50_000), 1100, 1000),
        ((256, 600), 600, 500),
        ((256, 256), None, 156),
        ((64, 64), None, 1),
    ],
)
def test_room(
    limits: tuple[int, int], raised_to: int | None, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, value: changes.append(value))
    assert connections_at_most(1000) == room
    assert changes == ([] if raised_to is None else [(raised_to, limits[1])])
