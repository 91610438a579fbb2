"""What is planned in single situations; `tests.simulation.test_fleet_model` has all their sequences."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from balancer import Endpoint
from services.ops.fleet.bake.comparison import Comparison, Figures
from services.ops.fleet.drivers.interface import Built
from services.ops.fleet.journal import Journal
from services.ops.fleet.plan.beginning import canary
from services.ops.fleet.plan.plan import plan
from services.ops.fleet.plan.steps import Announce, Forget, Leave, Make, Note, Outcome, Remove
from services.ops.fleet.plan.view import Seen, View, Wanted

WANTED = Wanted(service="users", version="2", generation="k3f", driver="local", otherwise=2)
NEW = ("users-2.k3f-1", "users-2.k3f-2")
JOURNAL = Journal(
    service="users",
    version="2",
    code="",
    image="",
    driver="local",
    generation="k3f",
    members=NEW,
    replicas=2,
    before=2,
    share=None,
)


def seen(name: str, state: str = "ready", *, known: bool = True, **more: Any) -> Seen:
    endpoint = Endpoint(
        service="users", replica=name, address="h:1", admin="h:2", standby=state == "standby"
    )
    built = Built(replica=name, service="users") if known else None
    return Seen(replica=name, endpoint=endpoint, listed=True, state=state, built=built, **more)


def journal(phase: Any, view: View, **more: Any) -> Journal:
    known = tuple(e.endpoint for e in view.members(JOURNAL) if e.endpoint)
    return replace(JOURNAL, phase=phase, known=known, **more)


OLD = (seen("users-1"), seen("users-2"))


def noted(steps: Any) -> Journal:
    (note,) = steps
    assert isinstance(note, Note)
    return note.journal


def test_as_many_are_made_as_are_announced() -> None:
    begun = noted(plan(View(replicas=(*OLD, seen("users-3"))), WANTED, None, 0.0).steps)
    assert (begun.members, begun.replicas, begun.before) == (
        ("users-2.k3f-1", "users-2.k3f-2", "users-2.k3f-3"), 3, 3,
    )  # fmt: skip


def test_the_first_ones_are_as_many_as_the_configuration_says() -> None:
    begun = noted(plan(View(), WANTED, None, 0.0).steps)
    assert (begun.replicas, begun.before) == (2, 0)
    assert noted(plan(View(), replace(WANTED, replicas=5), None, 0.0).steps).replicas == 5


def test_how_many_there_are_is_not_taken_from_a_registry_that_is_just_filling() -> None:
    built = Built(replica="users-3", service="users")
    view = View(replicas=(*OLD, Seen(replica="users-3", built=built)))
    decided = plan(view, WANTED, None, 0.0)
    assert (decided.steps, decided.stuck) == ((), True)
    assert decided.waiting == (
        "users-3 runs and is not in the registry; --replicas says how many there are to be"
    )
    assert noted(plan(view, replace(WANTED, replicas=3), None, 0.0).steps).replicas == 3
    alone = View(replicas=view.replicas[2:])
    decided = plan(alone, replace(WANTED, replicas=3), None, 0.0)
    assert decided.waiting == "users-3 runs and is not in the registry"


def test_nothing_is_done_on_a_view_that_is_not_fresh() -> None:
    view = View(replicas=OLD, stale="the registry is lost")
    for phase in ("build", "bake", "drain", "undo"):
        decided = plan(view, WANTED, journal(phase, view), 0.0)
        assert (decided.steps, decided.waiting) == ((), "the registry is lost")


def test_one_without_an_admin_port_is_refused() -> None:
    bare = Endpoint(service="users", replica="users-1", address="h:1")
    view = View(replicas=(Seen(replica="users-1", endpoint=bare, listed=True, state="ready"),))
    decided = plan(view, WANTED, None, 0.0)
    assert decided.ended is Outcome.REFUSED
    assert "users-1 is announced without an admin port" in decided.why


def test_a_new_one_is_announced_only_when_all_are_well() -> None:
    one, other = seen(NEW[0], "standby", smoked=""), seen(NEW[1], "standby")
    view = View(replicas=(*OLD, one, other))
    steps = plan(view, WANTED, journal("build", view), 0.0).steps
    assert [type(step).__name__ for step in steps] == ["Smoke"]
    view = View(replicas=(*OLD, one, replace(other, smoked="")))
    assert noted(plan(view, WANTED, journal("build", view), 0.0).steps).phase == "bake"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"smoked": "answered 500"}, "failed its smoke call: answered 500"),
        ({"fault": "no room"}, "cannot be built: no room"),
        (
            {
                "built": Built(replica=NEW[1], service="users", state="ended", why="x"),
                "state": "unreachable",
            },
            "ended: x",
        ),
    ],
)
def test_what_is_wrong_with_one_undoes_all(bad: dict[str, Any], why: str) -> None:
    well = seen(NEW[0], "standby", smoked="")
    view = View(replicas=(*OLD, well, replace(seen(NEW[1], "standby"), **bad)))
    undone = noted(plan(view, WANTED, journal("build", view), 0.0).steps)
    assert (undone.phase, undone.why) == ("undo", f"{NEW[1]} {why}")


def test_one_that_is_not_ready_in_time_undoes_all() -> None:
    view = View(replicas=(*OLD, seen(NEW[0], "standby", smoked="")), since=10.0)
    before = plan(view, WANTED, journal("build", view), 69.0)
    assert isinstance(before.steps[0], Make)
    undone = noted(plan(view, WANTED, journal("build", view), 70.0).steps)
    assert undone.why == f"{NEW[1]} is not ready after 60 s"


def watched(requests: float, errors: float, seconds: float = 10.0) -> View:
    comparison = Comparison(
        seconds=seconds,
        new=Figures(requests=requests, errors=errors),
        old=Figures(requests=500.0),
    )
    return View(replicas=(*OLD, *map(seen, NEW)), comparison=comparison)


def test_a_good_bake_lets_the_old_ones_leave() -> None:
    view = watched(500, 0)
    assert noted(plan(view, WANTED, journal("bake", view), 0.0).steps).phase == "drain"
    steps = plan(view, WANTED, journal("drain", view), 0.0).steps
    assert {step.replica for step in steps if isinstance(step, Leave)} == {"users-1", "users-2"}


def test_a_bad_bake_is_undone_before_its_end() -> None:
    view = watched(20, 20, seconds=1.0)
    undone = noted(plan(view, WANTED, journal("bake", view), 0.0).steps)
    assert undone.phase == "undo"
    assert undone.why.startswith("20 of 20 requests failed in the new version")


def test_no_call_is_no_fault_unless_it_is_asked_for() -> None:
    view = watched(0, 0)
    assert noted(plan(view, WANTED, journal("bake", view), 0.0).steps).phase == "drain"
    strict = replace(WANTED, traffic=True)
    undone = noted(plan(view, strict, journal("bake", view), 0.0).steps)
    assert (undone.phase, undone.why) == ("undo", "the new version got no call in 10 s")


def test_the_old_ones_stay_while_a_new_one_is_missing() -> None:
    view = View(replicas=(*OLD, seen(NEW[0]), seen(NEW[1], "silent", ill_since=0.0)))
    decided = plan(view, WANTED, journal("drain", view), 1.0)
    assert decided.steps == ()
    assert decided.stuck
    assert "1 of 2 new replicas take calls" in decided.waiting


def test_what_ended_for_good_past_the_bake_is_made_up_for() -> None:
    ended = Built(replica=NEW[1], service="users", state="ended")
    view = View(replicas=(seen(NEW[0]), replace(seen(NEW[1], "unreachable"), built=ended)))
    made = noted(plan(view, WANTED, journal("drain", view), 0.0).steps)
    assert made.members == (NEW[0], "users-2.k3f-3")


def test_one_that_does_not_leave_is_removed_only_after_its_time() -> None:
    stuck = seen("users-1", "silent", ill_since=100.0)
    view = View(replicas=(stuck, *map(seen, NEW)))
    steps = plan(view, WANTED, journal("drain", view), 144.0).steps
    assert [type(step) for step in steps] == [Leave]
    assert plan(view, WANTED, journal("drain", view), 145.0).steps == (Remove("users-1"),)


def test_one_started_by_hand_that_does_not_leave_is_told_of() -> None:
    stuck = seen("users-1", "silent", known=False, ill_since=0.0)
    view = View(replicas=(stuck, *map(seen, NEW)))
    decided = plan(view, WANTED, journal("drain", view), 45.0)
    assert (decided.steps, decided.stuck) == ((), True)
    assert "users-1 does not leave, and the driver does not know it" in decided.waiting


def test_the_way_back_is_closed_once_the_old_ones_leave() -> None:
    view = View(replicas=tuple(map(seen, NEW)))
    decided = plan(view, replace(WANTED, abort=True), journal("drain", view), 0.0)
    assert decided.steps == (Forget(),)
    assert decided.ended is Outcome.TOO_LATE
    stopped = plan(view, replace(WANTED, stop=True), journal("drain", view), 0.0)
    assert stopped.ended is Outcome.REPLACED


@pytest.mark.parametrize("change", [{"abort": True}, {"stop": True}, {"version": "3"}])
@pytest.mark.parametrize("phase", ["build", "canary", "bake"])
def test_before_that_it_can_be_undone(change: dict[str, Any], phase: str) -> None:
    view = watched(500, 0)
    undone = noted(plan(view, replace(WANTED, **change), journal(phase, view), 0.0).steps)
    assert undone.phase == "undo"


def test_another_version_begins_when_the_first_is_undone() -> None:
    view = View(replicas=OLD)
    other = replace(WANTED, version="3")
    decided = plan(view, other, journal("undo", view), 0.0)
    assert (decided.steps, decided.ended) == ((Forget(),), None)
    assert noted(plan(view, other, None, 0.0).steps).version == "3"


def test_both_versions_stay_for_as_long_as_wanted() -> None:
    view = watched(500, 0)
    hold = replace(WANTED, hold=True)
    assert noted(plan(view, hold, journal("bake", view), 0.0).steps).phase == "held"
    assert plan(view, hold, journal("held", view), 0.0).ended is Outcome.HELD
    assert noted(plan(view, WANTED, journal("held", view), 0.0).steps).phase == "bake"
    more = replace(hold, share=0.25)
    changed = noted(plan(view, more, journal("held", view), 0.0).steps)
    assert (changed.phase, changed.share) == ("canary", 0.25)


@pytest.mark.parametrize(
    ("share", "old", "expected"),
    [
        (0.05, 2.0, (1, 0.105)),
        (0.05, 100.0, (5, 1.053)),
        (0.5, 2.0, (2, 1.0)),
        (0.9, 2.0, (2, 9.0)),
        (0.1, 0.0, (1, 0.111)),
    ],
)
def test_a_canary_gets_its_share(share: float, old: float, expected: tuple[int, float]) -> None:
    count, weight = canary(share, old, least=1, most=2 if old < 50 else 100)
    assert (count, weight) == expected
    if old:
        assert count * weight / (count * weight + old) == pytest.approx(share, rel=0.01)


def test_a_canary_is_announced_with_its_weight_and_the_rest_waits() -> None:
    standing = tuple(seen(name, "standby", smoked="") for name in NEW)
    view = View(replicas=(*OLD, *standing))
    steps = plan(view, replace(WANTED, share=0.05), journal("canary", view, share=0.05), 0.0).steps
    assert steps == (Announce(standing[0].endpoint, 0.105),)  # type: ignore[arg-type]


def test_a_bake_after_a_canary_announces_all_with_their_own_weight() -> None:
    light = seen(NEW[0])
    assert light.endpoint is not None
    full = replace(JOURNAL, phase="bake", share=0.05, known=(light.endpoint,))
    small = replace(light, endpoint=replace(light.endpoint, weight=0.105))
    view = View(replicas=(*OLD, small, seen(NEW[1], "standby", smoked="")))
    known = noted(plan(view, WANTED, full, 0.0).steps)
    steps = plan(view, replace(WANTED, share=0.05), known, 0.0).steps
    weights = {s.endpoint.replica: s.weight for s in steps if isinstance(s, Announce)}
    assert weights == {NEW[0]: 1.0, NEW[1]: 1.0}
