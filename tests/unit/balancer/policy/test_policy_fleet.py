from __future__ import annotations

import random

import pytest

from balancer import Endpoint
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet, Replica


class Told:
    """A fleet, what it told of health, and attempts as dispatch would count them."""

    def __init__(self, count: int, *, seed: int = 1, **settings: float) -> None:
        self.changes: list[str] = []
        self.reasons: list[str] = []
        rng = random.Random(seed)
        ejection = EjectionSettings(**{"jitter": 0.0, **settings})  # type: ignore[arg-type]
        self.fleet = Fleet(
            BalancingSettings(policy="two-choices"),
            Ejector(ejection, rng.random),
            rng.random,
            self.note,
        )
        self.endpoints = [
            Endpoint(service="u", replica=f"u{n}", address=f"10.0.0.{n}:80", pid=n)
            for n in range(1, count + 1)
        ]
        self.fleet.update(self.endpoints, 0.0)

    def note(self, replica: Replica, change: str, why: str) -> None:
        self.changes.append(f"{replica.endpoint.replica} {change}")
        self.reasons.append(why)

    def __getitem__(self, number: int) -> Replica:
        return self.fleet.replicas[self.endpoints[number].address]

    def begin(self, replica: Replica) -> int:
        replica.attempts += 1
        return replica.attempts

    def fail(
        self, replica: Replica, now: float, times: int = 1, *, connecting: bool = False
    ) -> None:
        for _ in range(times):
            self.fleet.failed(replica, now, self.begin(replica), connecting=connecting)

    def picks(self, now: float, *, may_probe: bool = True) -> set[Replica | None]:
        return {self.fleet.pick(now, may_probe=may_probe) for _ in range(100)}


def test_an_empty_fleet_picks_nobody() -> None:
    assert Told(0).fleet.pick(1.0) is None


@pytest.mark.parametrize(("connecting", "times"), [(False, 5), (True, 2)])
def test_failures_in_a_row_eject_and_time_brings_one_probe(connecting: bool, times: int) -> None:
    told = Told(3)
    bad = told[0]
    told.fail(bad, 10.0, times - 1, connecting=connecting)
    assert bad in told.fleet.available
    told.fail(bad, 10.0, connecting=connecting)
    assert told.changes == ["u1 ejected"]
    assert told.picks(10.99) == {told[1], told[2]}
    assert told.fleet.pick(11.0) is bad, "its probe"
    assert told.picks(11.0) == {told[1], told[2]}, "and one only"


def test_a_good_probe_restores() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    probe = told.fleet.pick(11.0)
    assert probe is told[0]
    told.fleet.succeeded(probe, 11.5, told.begin(probe))
    assert told.changes == ["u1 ejected", "u1 restored"]
    assert told.picks(11.5) == {told[0], told[1]}


def test_a_failed_probe_ejects_for_twice_as_long() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    assert told.fleet.pick(11.0) is told[0]
    told.fail(told[0], 11.5)
    assert told.changes == ["u1 ejected"] * 2
    assert told.picks(13.4) == {told[1]}
    assert told.fleet.pick(13.5) is told[0]


def test_a_refused_probe_restores_for_it_is_there() -> None:
    told = Told(2)
    told.fleet.pick(10.0)
    told.fail(told[0], 10.0, 5)
    probe = told.fleet.pick(11.0)
    assert probe is not None
    told.fleet.refused(probe, 11.0, told.begin(probe))
    assert told.changes == ["u1 ejected", "u1 restored"]
    assert told.picks(11.0) == {told[1]}, "but it has no room"


def test_an_abandoned_probe_lets_another_go() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    probe = told.fleet.pick(11.0)
    assert probe is not None
    number = told.begin(probe)
    told.fleet.abandoned(probe, 11.0, number - 1, 0.5)
    assert told.picks(11.0) == {told[1]}, "an older attempt's end is not the probe's"
    told.fleet.abandoned(probe, 11.0, number, 0.5)
    assert told.fleet.pick(11.0) is probe


def test_a_call_that_cannot_be_repeated_is_no_probe_until_nobody_else_was() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    assert told.picks(15.9, may_probe=False) == {told[1]}
    assert told.fleet.pick(16.0, may_probe=False) is told[0]


def test_late_outcomes_say_nothing() -> None:
    told = Told(2)
    bad = told[0]
    numbers = [told.begin(bad) for _ in range(20)]
    told.fail(bad, 10.0, 5)
    told.fleet.succeeded(bad, 10.5, numbers.pop())
    told.fleet.refused(bad, 10.5, numbers.pop())
    assert told.picks(10.5) == {told[1]}
    probe = told.fleet.pick(11.0)
    assert probe is bad
    number = told.begin(bad)
    told.fleet.succeeded(bad, 11.1, numbers.pop())
    told.fleet.failed(bad, 11.1, numbers.pop())
    told.fleet.abandoned(bad, 11.1, numbers.pop(), 1.1)
    told.fleet.drained(bad, 11.1, numbers.pop())
    assert told.changes == ["u1 ejected"]
    told.fleet.succeeded(bad, 11.2, number)
    assert told.changes == ["u1 ejected", "u1 restored"]
    for late in numbers:
        told.fleet.failed(bad, 11.3, late)
    assert told.changes == ["u1 ejected", "u1 restored"]


@pytest.mark.parametrize(
    ("count", "kept"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (9, 3)]
)
def test_a_third_and_never_nobody_is_kept(count: int, kept: int) -> None:
    told = Told(count)
    for number in range(count):
        told.fail(told[number], 10.0, 7)
    assert len(told.fleet.available) == kept
    assert told.changes.count("u1 ejected") == (count > 1)
    assert any(change.endswith("kept") for change in told.changes)


def test_when_others_leave_an_ejected_one_is_better_than_none() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    told.fleet.update(told.endpoints[:1], 10.1)
    assert told.picks(10.1) == {told[0]}
    assert told.changes == ["u1 ejected", "u1 restored"]
    assert told.reasons == ["failures", "panic"]


def test_a_tried_replica_is_avoided_and_better_than_none() -> None:
    told = Told(3)
    one, two, three = told[0], told[1], told[2]
    assert {told.fleet.pick(1.0, (one, two)) for _ in range(50)} == {three}
    assert {told.fleet.pick(1.0, (one, two, three)) for _ in range(50)} == {one, two, three}


def test_a_probe_is_not_sent_where_the_call_has_failed() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    assert told.fleet.pick(11.0, (told[0],)) is told[1]


def test_a_replica_that_drains_is_left_while_there_are_others() -> None:
    told = Told(2)
    told.fleet.drained(told[0], 1.0, told.begin(told[0]))
    assert told.picks(1.0) == {told[1]}
    told.fleet.drained(told[1], 1.0, told.begin(told[1]))
    assert told.picks(1.0) == {told[0], told[1]}
    told.fleet.update(told.endpoints[:1], 0.0)
    assert told.picks(1.0) == {told[0]}


def test_another_attempt_rather_goes_to_the_same_again_than_to_one_that_leaves() -> None:
    told = Told(2)
    told.fleet.drained(told[1], 10.0, told.begin(told[1]))
    assert told.fleet.pick(10.0, (told[0],)) is told[0]
    told.fleet.drained(told[0], 10.0, told.begin(told[0]))
    assert told.fleet.pick(10.0, (told[0],)) is told[1], "when all leave it makes no difference"


def test_a_draining_replica_is_not_probed() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    told[0].draining = True
    told.fleet.update(told.endpoints, 0.0)
    assert told.picks(100.0) == {told[1]}


def test_the_same_process_keeps_its_record_and_a_new_one_at_its_address_begins_anew() -> None:
    told = Told(2)
    old = told[0]
    told.fail(old, 10.0, 5)
    same = Endpoint(service="u", replica="u1", address="10.0.0.1:80", pid=1, version="2")
    assert told.fleet.update([same, told.endpoints[1]], 0.0) == []
    assert told[0] is old
    assert old.endpoint is same
    new = Endpoint(service="u", replica="u1", address="10.0.0.1:80", pid=77)
    assert told.fleet.update([new, told.endpoints[1]], 0.0) == [old]
    assert told[0] is not old
    assert told.picks(10.0) == {told[0], told[1]}
    # What the old one still says is nobody's business any more.
    told.fail(old, 10.0, 9)
    assert told.picks(10.0) == {told[0], told[1]}


def test_refusals_fade() -> None:
    told = Told(2)
    told.fleet.pick(10.0)
    for _ in range(4):
        told.fleet.refused(told[0], 10.0, told.begin(told[0]))
    told[1].in_flight = 3
    assert told.picks(10.0) == {told[1]}
    now = 10.0
    while told[0].refusals:
        now += 1.0
        told.picks(now)
    assert told.picks(now) == {told[0]}
    told[1].in_flight = 0
    assert told.picks(now) == {told[0], told[1]}


def test_good_answers_take_back_what_is_held_against_a_replica() -> None:
    told = Told(2)
    for _ in range(8):
        told.fleet.refused(told[0], 10.0, told.begin(told[0]))
    while held := told[0].refusals:
        told.fleet.succeeded(told[0], 10.0, told.begin(told[0]))
        assert told[0].refusals <= held / 2


def test_a_bad_entry_of_discovery_may_be_there_twice() -> None:
    told = Told(1)
    told.fleet.update([told.endpoints[0], told.endpoints[0]], 0.0)
    assert len(told.fleet.available) == 1


def test_refusals_of_replicas_that_are_gone_are_forgotten() -> None:
    told = Told(1)
    told.fleet.refused(told[0], 10.0, told.begin(told[0]))
    told.fleet.update([], 0.0)
    assert told.fleet.pick(20.0) is None
    told.fleet.update(told.endpoints, 0.0)
    assert told.fleet.pick(20.0) is told[0]


def test_while_a_probe_is_out_only_the_probe_counts() -> None:
    told = Told(2)
    bad = told[0]
    told.fail(bad, 10.0, 5)
    # All others were tried by this call, so it goes there, ejected or not.
    assert told.fleet.pick(10.5, (told[1],)) is bad
    before = told.begin(bad)
    assert told.fleet.pick(11.5) is bad
    probe = told.begin(bad)
    told.fleet.failed(bad, 11.6, before)
    told.fleet.abandoned(bad, 11.6, before, 1.1)
    assert bad.probing
    told.fleet.succeeded(bad, 11.7, probe)
    assert told.changes == ["u1 ejected", "u1 restored"]


def test_a_good_answer_from_after_the_ejection_restores_without_a_probe() -> None:
    told = Told(2)
    told.fail(told[0], 10.0, 5)
    assert told.fleet.pick(10.5, (told[1],)) is told[0]
    told.fleet.succeeded(told[0], 10.6, told.begin(told[0]))
    assert told.changes == ["u1 ejected", "u1 restored"]


@pytest.mark.parametrize(
    ("connecting", "times", "why"), [(False, 5, "failures"), (True, 2, "connect")]
)
def test_the_reason_is_told(connecting: bool, times: int, why: str) -> None:
    told = Told(2)
    told.fail(told[0], 10.0, times, connecting=connecting)
    assert told.reasons == [why]
    assert told[0].ejected_for == why
    told.fail(told[1], 10.0, times, connecting=connecting)
    assert told.changes[-1] == "u2 kept"
    assert told.reasons == [why, why]
    probe = told.fleet.pick(11.0)
    assert probe is told[0]
    told.fleet.succeeded(probe, 11.1, told.begin(probe))
    assert told.changes[-1] == "u1 restored"
    assert told.reasons == [why, why, why]
