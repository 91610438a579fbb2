"""What a fleet makes of what replicas tell of their load, and of those that tell little or nothing."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from balancer import Endpoint
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet, Replica
from balancer.policy.balancing import PickName, SignalName
from balancer.values import LoadReport

LATENCY_S = 0.01


class Caller:
    """A caller whose calls end at once, a hundredth of a second apart."""

    def __init__(self, count: int, policy: PickName = "fresh", signal: SignalName = "") -> None:
        rng = random.Random(1)
        self.now = 100.0
        self.fleet = Fleet(
            BalancingSettings(policy=policy, signal=signal),
            Ejector(EjectionSettings(), rng.random),
            rng.random,
        )
        self.fleet.update(
            [
                Endpoint(service="u", replica=f"u{n}", address=f"10.0.0.{n}:80", pid=n + 1)
                for n in range(count)
            ],
            self.now,
        )
        self.replicas = list(self.fleet.replicas.values())
        self.seen: Counter[Replica] = Counter()

    def begin(self) -> tuple[Replica, int]:
        self.now += 0.01
        replica = self.fleet.pick(self.now)
        assert replica is not None
        self.seen[replica] += 1
        replica.attempts += 1
        return replica, replica.attempts

    def answer(self, times: int, report: LoadReport | None) -> None:
        for _ in range(times):
            replica, number = self.begin()
            self.fleet.succeeded(replica, self.now, number, LATENCY_S, report)


@pytest.mark.parametrize(
    ("policy", "signal"),
    [("fresh", "expected"), ("two-choices", "reported"), ("least-loaded", "reported")],
)
@pytest.mark.parametrize("tells", [LoadReport(2), LoadReport(2, 10.0, 100)])
def test_who_was_busy_once_is_asked_again(
    policy: PickName, signal: SignalName, tells: LoadReport
) -> None:
    caller = Caller(3, policy, signal)
    # To a load probe, before any of its requests has ended: it cannot tell how long they take.
    caller.fleet.heard(caller.replicas[0], caller.now, LoadReport(50))
    caller.answer(12_000, tells)
    assert caller.seen[caller.replicas[0]] > 1000


def test_a_report_without_a_latency_is_read_with_our_own() -> None:
    caller = Caller(1)
    (replica,) = caller.replicas
    # One that has just started will tell it soon, and its first answers are slow.
    caller.answer(3, LoadReport(3))
    assert (replica.others, replica.report_latency_s) == (3, 0.0)
    caller.answer(10, LoadReport(3))
    assert (replica.others, replica.report_latency_s) == (3, LATENCY_S)
    assert replica.heard_at == caller.now


@pytest.mark.parametrize("policy", ["two-choices", "least-loaded"])
def test_who_was_slow_once_is_asked_again_under_the_signal_latency(policy: PickName) -> None:
    caller = Caller(2, policy, "latency")
    slow, other = caller.replicas
    for each, latency_ms in ((slow, 200.0), (other, 10.0)):
        caller.fleet.heard(each, caller.now, LoadReport(1, latency_ms, 100))
    for number in range(20_000):
        replica, attempt = caller.begin()
        report = LoadReport(1, 10.0 + number % 3, 100)
        caller.fleet.succeeded(replica, caller.now, attempt, LATENCY_S, report)
    assert caller.seen[slow] > 1000


@pytest.mark.parametrize("policy", ["two-choices", "least-loaded"])
def test_who_refuses_from_the_first_call_on_does_not_look_fast(policy: PickName) -> None:
    caller = Caller(3, policy, "latency")
    for _ in range(1000):
        replica, number = caller.begin()
        if replica is caller.replicas[0]:
            caller.fleet.refused(replica, caller.now, number)
        else:
            caller.fleet.succeeded(replica, caller.now, number, LATENCY_S, LoadReport(1, 10.0, 100))
    assert caller.seen[caller.replicas[0]] < 20


def test_an_hour_without_calls_leaves_nothing_held_against_anybody() -> None:
    caller = Caller(3)
    replica, number = caller.begin()
    caller.fleet.refused(replica, caller.now, number)
    assert replica.refusals > 0
    caller.now += 3600.0
    caller.fleet.pick(caller.now)
    assert replica.refusals == 0
