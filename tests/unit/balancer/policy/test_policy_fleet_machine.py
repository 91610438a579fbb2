"""Whatever happens, in whatever order, a fleet keeps its promises."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from balancer import Endpoint
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet, Replica

choices = st.integers(0, 1000)
# Failures more often than the rest: it takes five in a row to eject.
outcomes = st.sampled_from(
    ["good", "slow", "bad", "bad", "bad", "bad", "connect", "busy", "gone", "hedged", "drain"]
)
WELL_S = 0.002
SLOW_S = 0.05


class FleetMachine(RuleBasedStateMachine):
    """Attempts begin and end in any order, replicas come, go, drain and restart."""

    @initialize(count=st.integers(1, 5), seed=st.integers(0, 100), known=st.booleans())
    def begin(self, count: int, seed: int, known: bool) -> None:
        rng = random.Random(seed)
        self.now = 100.0
        self.fleet = Fleet(
            BalancingSettings(policy="two-choices"),
            Ejector(EjectionSettings(), rng.random),
            rng.random,
            self.note,
        )
        self.outliers: list[float] = []
        self.pids = [number + 1 if known else 0 for number in range(count)]
        self.known = known
        self.present = set(range(count))
        self.running: list[tuple[Replica, int]] = []
        self.probes: dict[Replica, int] = {}
        self.update()

    def note(self, replica: Replica, change: str, why: str) -> None:
        """What is told of health holds the promises too."""
        every = list(self.fleet.replicas.values())
        left = sum(not (each.ejected_until or each.draining) for each in every)
        staying = sum(not each.draining for each in every)
        assert why
        if change == "ejected":
            assert replica.ejected_until > self.now - 1
            assert left >= min(1, staying)
            if why in {"success-rate", "latency"} and replica not in self.probes:
                assert 2 * left >= len(every)
                assert not self.outliers or self.now - self.outliers[-1] >= 0.5
                self.outliers.append(self.now)
        elif change == "restored":
            assert not replica.ejected_until
        else:
            assert change == "kept"
            assert not replica.ejected_until

    def update(self) -> None:
        endpoints = [
            Endpoint(service="u", replica=f"u{n}", address=f"10.0.0.{n}:80", pid=self.pids[n])
            for n in sorted(self.present)
        ]
        gone = self.fleet.update(endpoints, self.now)
        for replica in gone:
            self.probes.pop(replica, None)

    @rule(may_probe=st.booleans(), tried=st.lists(choices, max_size=3))
    def pick(self, may_probe: bool, tried: list[int]) -> None:
        every = list(self.fleet.replicas.values())
        avoided = tuple(every[number % len(every)] for number in tried) if every else ()
        was_probing = {replica for replica in every if replica.probing}
        replica = self.fleet.pick(self.now, avoided, may_probe=may_probe)
        assert (replica is None) == (not every)
        if replica is None:
            return
        replica.in_flight += 1
        replica.attempts += 1
        self.running.append((replica, replica.attempts))
        if replica.probing and replica not in was_probing:
            assert replica not in self.probes, "two probes at once"
            assert replica.ejected_until <= self.now
            self.probes[replica] = replica.attempts
        others_stay = any(not other.draining for other in every)
        if replica.draining:
            assert not others_stay, "a leaving one was picked although others stay"

    @precondition(lambda self: self.running)
    @rule(which=choices, how=outcomes)
    def end(self, which: int, how: str) -> None:
        replica, number = self.running.pop(which % len(self.running))
        replica.in_flight -= 1
        was_ejected = replica.ejected_until
        is_probe = self.probes.get(replica) == number
        late = number <= replica.settled
        fleet = self.fleet
        match how:
            case "good" | "slow":
                latency_s = WELL_S if how == "good" else SLOW_S
                fleet.succeeded(replica, self.now, number, latency_s)
                assert not (late and was_ejected) or replica.ejected_until == was_ejected
            case "bad" | "connect":
                fleet.failed(replica, self.now, number, connecting=how == "connect")
                assert not late or replica.ejected_until == was_ejected
            case "busy":
                fleet.refused(replica, self.now, number)
            case "gone":
                fleet.abandoned(replica, self.now, number, 0.0)
                assert replica.ejected_until == was_ejected
            case "hedged":
                fleet.abandoned(replica, self.now, number, SLOW_S)
                assert not late or replica.ejected_until == was_ejected
            case "drain":
                fleet.drained(replica, self.now, number)
                fleet.succeeded(replica, self.now, number)
        if is_probe:
            del self.probes[replica]
            assert how == "drain" or not replica.probing
        elif not replica.probing:
            self.probes.pop(replica, None)

    @precondition(lambda self: self.fleet.replicas)
    @rule(which=choices, how=st.sampled_from(["good", "slow", "bad"]), times=st.integers(1, 30))
    def answer_many(self, which: int, how: str, times: int) -> None:
        """Calls that end at once: it takes many to stand out."""
        every = list(self.fleet.replicas.values())
        replica = every[which % len(every)]
        for number in range(times):
            if replica.probing:
                break
            replica.attempts += 1
            if how == "bad" and number % 2:
                self.fleet.failed(replica, self.now, replica.attempts)
            else:
                latency_s = SLOW_S if how == "slow" else WELL_S
                self.fleet.succeeded(replica, self.now, replica.attempts, latency_s)

    @rule(answered=st.booleans())
    def probe_load(self, answered: bool) -> None:
        replica = self.fleet.probe(self.now)
        if replica is not None:
            assert self.fleet.replicas[replica.endpoint.address] is replica
            assert not replica.ejected_until
            if answered:
                self.fleet.spoke(replica)

    @rule(seconds=st.sampled_from([0.01, 0.11, 0.11, 0.5, 1.3, 6.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(number=choices)
    def leave_or_come(self, number: int) -> None:
        self.present ^= {number % len(self.pids)}
        self.update()

    @rule(number=choices)
    def restart(self, number: int) -> None:
        if self.known:
            self.pids[number % len(self.pids)] += 100
            self.update()

    @invariant()
    def never_nobody(self) -> None:
        fleet = getattr(self, "fleet", None)
        if fleet is None:
            return
        assert bool(fleet.available) == bool(fleet.replicas)
        every = list(fleet.replicas.values())
        staying = [replica for replica in every if not replica.draining] or every
        assert fleet.available == [replica for replica in staying if not replica.ejected_until]
        for replica in fleet.replicas.values():
            assert replica.in_flight >= 0
            assert replica.refusals >= 0
            assert replica.settled <= replica.attempts
            assert not replica.probing or replica.ejected_until
            assert 0 <= replica.slow <= replica.answers


FleetMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestFleet = FleetMachine.TestCase
