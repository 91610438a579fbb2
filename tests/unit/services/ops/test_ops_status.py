"""What `txmesh status` tells of a registry that answers, and of one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.task import Clock

from balancer import Endpoint, RegistryError
from balancer.discovery import Memory, View
from balancer.testing import FakeRegistry
from services.ops.probe import Prober
from services.ops.reports import StatusReport
from services.ops.status import look, show
from tests.deferreds import now

ONE = Endpoint(service="users", replica="users-1", address="10.0.0.1:80", pid=7)
NOON = 1_800_000_000.0


class Ready:
    """Whoever is asked is ready."""

    def state(self, endpoint: Endpoint) -> Deferred[str]:
        return succeed("ready")


def looked(registry: FakeRegistry, view: View | None) -> StatusReport:
    return now(ensureDeferred(look(registry, cast("Prober", Ready()), view)))


@pytest.fixture
def registry() -> FakeRegistry:
    registry = FakeRegistry(Clock())
    registry.set("users", [ONE])
    return registry


def view_of(registry: FakeRegistry, folder: Path, *, now_s: float = NOON) -> View:
    return View(registry, Clock(), Memory(folder, registry.url, lambda: now_s))


def test_a_registry_that_answers_is_all_that_counts(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = looked(registry, view_of(registry, tmp_path))
    assert report.registry.answered
    assert report.registry.age_s == 0.0
    assert [replica.replica for replica in report.replicas] == ["users-1"]
    assert capsys.readouterr().err == ""


def test_while_it_is_lost_what_was_known_last_is_shown_with_its_age(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Memory(tmp_path, registry.url, lambda: NOON).write("users", [(ONE, 0.0)])
    registry.lose()
    report = looked(registry, view_of(registry, tmp_path, now_s=NOON + 300.0))
    assert not report.registry.answered
    assert report.registry.age_s == 300.0
    assert [(each.replica, each.state) for each in report.replicas] == [("users-1", "ready")]
    told = capsys.readouterr().err
    assert "lost; a test wanted it so; shown is what was known 5 min ago" in told


def test_while_it_is_lost_and_nothing_is_remembered_it_says_so(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.lose()
    report = looked(registry, view_of(registry, tmp_path))
    assert (report.registry.age_s, report.replicas) == (None, [])
    assert "nothing is remembered" in capsys.readouterr().err


def test_whoever_has_no_view_is_told(registry: FakeRegistry) -> None:
    registry.lose()
    with pytest.raises(RegistryError):
        looked(registry, None)


def test_weights_are_shown_where_one_is_not_1(
    registry: FakeRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    report = looked(registry, None)
    assert [replica.weight for replica in report.replicas] == [1.0]
    show(report)
    assert "weight" not in capsys.readouterr().out
    registry.set("users", [ONE, replace(ONE, replica="users-2.k3f-1", weight=0.053)])
    report = looked(registry, None)
    show(report)
    heading, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading[-3:] == ["state", "weight", "age"]
    assert [row[-3:] for row in rows] == [["ready", "1", "-"], ["ready", "0.053", "-"]]
    assert [replica.weight for replica in report.replicas] == [1.0, 0.053]
