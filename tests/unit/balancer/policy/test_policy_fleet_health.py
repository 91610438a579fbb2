"""What a fleet does about replicas that are worse than the others, silent, or most of all there are."""

from __future__ import annotations

import random

import msgspec
import pytest

from balancer import Endpoint
from balancer.policy import (
    BalancingSettings,
    EjectionSettings,
    Ejector,
    Fleet,
    Replica,
)
from balancer.policy.subset import SubsetSettings

WELL_S = 0.02
SLOW_S = 0.2


class Watched:
    """A fleet, and what it told of health: (replica's number, change, why)."""

    def __init__(self, count: int, *, seed: int = 1, **settings: float) -> None:
        self.told: list[tuple[int, str, str]] = []
        rng = random.Random(seed)
        ejection = EjectionSettings(**{"jitter": 0.0, **settings})  # type: ignore[arg-type]
        self.fleet = Fleet(
            BalancingSettings(policy="round-robin", subset=SubsetSettings(size=0)),
            Ejector(ejection, rng.random),
            rng.random,
            lambda replica, change, why: self.told.append((replica.endpoint.pid, change, why)),
        )
        self.endpoints = [
            Endpoint(service="u", replica=f"u{n}", address=f"10.0.0.{n}:80", pid=n)
            for n in range(count)
        ]
        self.now = 100.0
        self.fleet.update(self.endpoints, self.now)
        self.fleet.pick(self.now)

    def __getitem__(self, number: int) -> Replica:
        return self.fleet.replicas[self.endpoints[number].address]

    def keep(self, *numbers: int) -> None:
        self.fleet.update([self.endpoints[number] for number in numbers], self.now)

    def begin(self, replica: Replica) -> int:
        replica.attempts += 1
        return replica.attempts

    def answer(self, replica: Replica, latency_s: float = WELL_S) -> None:
        self.fleet.succeeded(replica, self.now, self.begin(replica), latency_s)

    def fail(self, replica: Replica, times: int = 1) -> None:
        for _ in range(times):
            self.fleet.failed(replica, self.now, self.begin(replica))

    def step(self) -> None:
        """Let a step and the looks before it pass, with a pick at each."""
        for _ in range(5):
            self.now += 0.1001
            picked = self.fleet.pick(self.now, may_probe=False)
            assert picked is not None

    def all_answer(self, times: int = 20, **latency_s: float) -> None:
        """Each answers; ``r0=0.2`` says how long the first one takes."""
        for _ in range(times):
            for number in range(len(self.endpoints)):
                if self[number] in self.fleet.available:
                    self.answer(self[number], latency_s.get(f"r{number}", WELL_S))

    def ejected(self) -> set[int]:
        return {
            replica.endpoint.pid
            for replica in self.fleet.replicas.values()
            if replica.ejected_until
        }


@pytest.mark.parametrize("count", [2, 3, 5, 1000])
def test_one_that_fails_now_and_then_but_never_in_a_row_is_ejected(count: int) -> None:
    watched = Watched(count)
    for _ in range(10):
        watched.all_answer(1)
        watched.fail(watched[1])
    watched.step()
    assert watched.told == [(1, "ejected", "success-rate")]
    assert watched[1].ejected_for == "success-rate"


@pytest.mark.parametrize("count", [2, 3, 5, 1000])
def test_a_slow_one_is_ejected(count: int) -> None:
    watched = Watched(count)
    watched.all_answer(5)
    watched.step()  # now it is known what is usual
    watched.all_answer(10, r1=SLOW_S)
    watched.step()
    assert watched.told == [(1, "ejected", "latency")]


def test_one_that_takes_three_times_as_long_is_not() -> None:
    watched = Watched(3)
    for _ in range(20):
        watched.all_answer(20, r1=3 * WELL_S)
        watched.step()
    assert watched.told == []


def test_when_all_are_slow_or_failing_nobody_is_ejected() -> None:
    watched = Watched(3)
    watched.all_answer(20)
    watched.step()
    for _ in range(20):
        watched.all_answer(10, r0=SLOW_S, r1=SLOW_S, r2=SLOW_S)
        for number in range(3):
            watched.fail(watched[number], 2)
        watched.step()
    assert watched.told == []


@pytest.mark.parametrize(("count", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (9, 4)])
def test_outliers_leave_half_and_go_one_in_a_step(count: int, most: int) -> None:
    watched = Watched(count, base_s=60.0)
    watched.all_answer(5)
    watched.step()
    # As many are slow as may be ejected, and one more, if then any is well.
    for gone in range(1, count + 1):
        for number in range(count):
            replica = watched[number]
            if replica in watched.fleet.available:
                slow = number <= most and number < count - 1
                for _ in range(10 if slow else 200):
                    watched.answer(replica, SLOW_S if slow else WELL_S)
        watched.step()
        assert len(watched.ejected()) <= min(gone, most)
    assert len(watched.ejected()) == most


def test_a_slow_answer_restores_nobody_that_was_slow() -> None:
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    watched.all_answer(10, r0=SLOW_S)
    watched.step()
    slow = watched[0]
    for lasts_s in (2.0, 4.0, 8.0):
        watched.now = slow.ejected_until
        assert watched.fleet.pick(watched.now) is slow
        watched.answer(slow, SLOW_S)
        assert slow.ejected_until == watched.now + lasts_s
        watched.all_answer(1)
    watched.now = slow.ejected_until
    assert watched.fleet.pick(watched.now) is slow
    watched.answer(slow, 2 * WELL_S)
    assert [change for _, change, _ in watched.told] == ["ejected"] * 4 + ["restored"]
    assert watched.told[-1] == (0, "restored", "latency")
    watched.step()
    assert watched.ejected() == set(), "and what it was is forgotten"


def test_a_slow_answer_restores_whoever_had_failed() -> None:
    # What has just started is slow at first.
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    watched.fail(watched[0], 5)
    watched.now += 1.0
    assert watched.fleet.pick(watched.now) is watched[0]
    watched.answer(watched[0], SLOW_S)
    assert watched.told == [(0, "ejected", "failures"), (0, "restored", "failures")]


def test_a_rejected_probe_says_that_it_works() -> None:
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    watched.all_answer(10, r0=SLOW_S)
    watched.step()
    watched.now = watched[0].ejected_until
    assert watched.fleet.pick(watched.now) is watched[0]
    watched.fleet.succeeded(watched[0], watched.now, watched.begin(watched[0]))
    assert watched.ejected() == set()


def test_a_probe_that_was_given_up_late_was_no_good_one() -> None:
    # As when a hedge answers before it: else each call would be a probe, and wait for its hedge.
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    watched.fail(watched[0], 5)
    watched.now = watched[0].ejected_until
    assert watched.fleet.pick(watched.now) is watched[0]
    number = watched.begin(watched[0])
    watched.fleet.abandoned(watched[0], watched.now, number, WELL_S / 2)
    assert not watched[0].probing
    assert watched.fleet.pick(watched.now) is watched[0], "another goes at once"
    number = watched.begin(watched[0])
    watched.fleet.abandoned(watched[0], watched.now, number, WELL_S * 2)
    assert watched[0].ejected_until == watched.now + 2.0
    assert watched[0].ejected_for == "failures"


def test_attempts_that_were_given_up_late_count_as_slow() -> None:
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    for _ in range(10):
        watched.all_answer(2)
        for number in range(3):
            replica = watched[number]
            waited_s = SLOW_S if number == 0 else WELL_S
            watched.fleet.abandoned(replica, watched.now, watched.begin(replica), waited_s)
    watched.step()
    assert watched.told == [(0, "ejected", "latency")]


def test_who_says_nothing_is_asked_and_then_ejected() -> None:
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    silent = watched[0]
    silent.in_flight = 1
    watched.begin(silent)
    began = watched.now
    asked = []
    while not silent.ejected_until:
        watched.now += 0.01
        assert watched.fleet.pick(watched.now) is not None
        if watched.fleet.probe(watched.now) is silent:
            asked.append(watched.now - began)
        watched.answer(watched[1])
        watched.answer(watched[2])
    assert watched.told == [(0, "ejected", "silence")]
    assert len(asked) == 1
    assert 0.1 <= asked[0] <= 0.21
    assert 0.3 <= watched.now - began <= 0.41
    # When it goes on, its probe brings it back.
    watched.now = silent.ejected_until
    assert watched.fleet.pick(watched.now) is silent
    watched.answer(silent)
    assert watched.told[-1] == (0, "restored", "silence")


@pytest.mark.parametrize("sign", ["load probe", "answer", "late answer", "refusal"])
def test_any_sign_of_life_is_enough(sign: str) -> None:
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    busy = watched[0]
    busy.in_flight = 1
    number = watched.begin(busy)
    for _ in range(200):
        watched.now += 0.01
        assert watched.fleet.pick(watched.now) is not None
        if watched.fleet.probe(watched.now) is busy:
            if sign == "load probe":
                watched.fleet.spoke(busy)
            elif sign == "answer":
                watched.answer(busy)
            elif sign == "late answer":
                busy.settled = number
                watched.fleet.succeeded(busy, watched.now, number)
            else:
                watched.fleet.refused(busy, watched.now, watched.begin(busy))
        watched.answer(watched[1])
        watched.answer(watched[2])
    assert watched.told == []


def test_when_nobody_says_anything_nobody_is_ejected() -> None:
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    for number in range(3):
        watched[number].in_flight = 1
    for _ in range(300):
        watched.now += 0.01
        watched.fleet.pick(watched.now)
        watched.fleet.probe(watched.now)
    assert watched.told == []


def test_our_own_pause_is_nobodys_silence() -> None:
    watched = Watched(3)
    watched.all_answer(5)
    watched.step()
    watched[0].in_flight = watched[1].in_flight = 1
    for _ in range(3):  # three times stopped for ten seconds, and nothing read before the next call
        watched.now += 10.0
        watched.fleet.pick(watched.now)
        watched.fleet.probe(watched.now)
    assert watched.told == []


def test_silence_is_longer_where_calls_take_long() -> None:
    watched = Watched(3)
    watched.all_answer(20, r0=0.5, r1=0.5, r2=0.5)
    watched.step()
    watched[0].in_flight = 1
    began = watched.now
    while not watched[0].ejected_until:
        watched.now += 0.05
        watched.fleet.pick(watched.now)
        watched.fleet.probe(watched.now)
        watched.answer(watched[1], 0.5)
    assert 4.5 <= watched.now - began <= 6.1


def test_the_last_one_is_not_ejected_for_its_silence() -> None:
    watched = Watched(2)
    watched.all_answer(5)
    watched.step()
    watched.fail(watched[1], 5)
    watched.told.clear()
    watched[0].in_flight = 1
    for _ in range(100):
        watched.now += 0.01
        assert watched.fleet.pick(watched.now, may_probe=False) is watched[0]
        watched.fleet.probe(watched.now)
    assert watched.told == [], "it is the only one that is left: nobody else speaks"


def test_when_the_well_ones_leave_all_are_used_again() -> None:
    watched = Watched(5)
    watched.fail(watched[0], 5)
    watched.fail(watched[1], 5)
    watched.keep(0, 1, 2, 3)
    assert watched.ejected() == {0, 1}, "half are not most"
    watched.keep(0, 1, 2)
    assert watched.ejected() == set()
    assert set(watched.told[2:]) == {(0, "restored", "panic"), (1, "restored", "panic")}
    assert set(watched.fleet.available) == {watched[0], watched[1], watched[2]}
    # Who is really ill is ejected again, for longer, as far as a third is left.
    watched.fail(watched[0], 5)
    watched.fail(watched[1], 5)
    assert watched.ejected() == {0, 1}
    assert watched[0].ejected_until == watched.now + 2.0


def test_no_panic_where_no_well_one_has_left() -> None:
    watched = Watched(4)
    watched.fail(watched[0], 5)
    watched.fail(watched[1], 5)
    watched.fail(watched[2], 5)
    assert watched.ejected() == {0, 1, 2}
    watched.keep(0, 1, 2, 3)
    watched.keep(0, 1, 3)
    assert watched.ejected() == {0, 1}, "an ill one has"
    watched.endpoints[3] = msgspec.structs.replace(watched.endpoints[3], pid=99)
    watched.keep(0, 1, 3)
    assert watched.ejected() == {0, 1}, "it was restarted: there are as many as before"
    watched.keep(0, 1)
    assert watched.ejected() == set()


def test_a_well_one_that_drains_leaves_too() -> None:
    watched = Watched(3)
    watched.fail(watched[0], 5)
    watched.fleet.drained(watched[1], watched.now, watched.begin(watched[1]))
    assert watched.ejected() == {0}, "half are not most"
    watched.fleet.drained(watched[2], watched.now, watched.begin(watched[2]))
    assert watched.ejected() == set()
    assert watched.fleet.available == [watched[0]]


def test_a_panic_ends_a_probation_and_the_probe_still_counts() -> None:
    watched = Watched(2)
    watched.fail(watched[0], 5)
    watched.now += 1.0
    assert watched.fleet.pick(watched.now) is watched[0]
    probe = watched.begin(watched[0])
    watched.keep(0)
    assert not watched[0].probing
    assert watched.fleet.available == [watched[0]]
    watched.fleet.failed(watched[0], watched.now, probe)
    assert watched[0].failures == 1


def test_a_good_answer_within_the_clocks_grain_is_no_rejection() -> None:
    watched = Watched(3)
    watched.all_answer(20, r0=0.0)
    watched.step()
    assert watched.told == []
    assert watched[0].rejections == 0
