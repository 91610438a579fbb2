"""What holds after every step of any history: a state machine over fleets of 1 to 5 replicas.

It looks over the shoulder of the replicas: each attempt is checked as it begins and as it ends.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from itertools import cycle
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from balancer import CallError, DispatchSettings, Reply, Request
from balancer.dispatch.call import PendingCall
from balancer.dispatch.hedged import Hedge
from balancer.policy import BudgetSettings, Replica
from balancer.testing import (
    Answer,
    Behaviour,
    Breaks,
    FakeReplica,
    Garbled,
    Outcome,
    Refuses,
    Silent,
    World,
)
from balancer.transport import Attempt
from balancer.transport.sweep import TICK_S

# Two to three seconds' worth for the quick command.
EXAMPLES = int(os.environ.get("TXMESH_EXAMPLES", "100"))

LATE_S = 1.02 * TICK_S
HEDGE_S = 0.03

after = st.sampled_from([0.04, 0.1, 0.3, 0.001, 0.0, 2.0])
push = st.sampled_from([(), ((b"Retry-After", b"1"),), ((b"retry-after", b"2"),)])
good = st.builds(Answer, after_s=after)
behaviours = st.one_of(
    good,
    good,
    good,
    good,
    st.builds(Answer, after_s=after, status=st.sampled_from([404, 500, 504])),
    st.builds(Answer, after_s=after, status=st.sampled_from([429, 503]), headers=push),
    after.map(lambda after_s: Answer.nack(after_s=after_s)),
    after.map(lambda after_s: Answer.draining(after_s=after_s)),
    st.builds(Refuses, after_s=after),
    st.builds(Breaks, after_s=after),
    st.builds(Garbled, after_s=after),
    st.builds(Silent, connected=st.booleans()),
)
some = st.integers(0, 4)
# Mostly all: where nobody else is, nothing is hedged.
present = st.one_of(st.just({*range(5)}), st.just({*range(5)}), st.sets(some))


def the_call(attempt: Attempt) -> PendingCall[Any] | None:
    """Whose attempt it is; None for a load probe, which is no call's."""
    if isinstance(attempt, Hedge):
        return attempt._call
    return attempt if isinstance(attempt, PendingCall) else None


def the_record(attempt: Attempt) -> Replica:
    """The dispatcher's record of the replica that has a call's attempt."""
    if isinstance(attempt, Hedge):
        return attempt.replica
    assert isinstance(attempt, PendingCall)
    assert attempt._replica is not None
    return attempt._replica


class Calls(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.replicas: list[FakeReplica] = []
        self.calls: list[tuple[Outcome, float, bytes]] = []
        self.firsts = 0
        # The dispatcher's records of the replicas that have had an attempt. One that leaves and
        # comes back has a new record: it is another process then, which has asked for nothing.
        self.records: set[Replica] = set()
        # When a replica will have a call again that it has pushed back, by record and call.
        self.held: dict[tuple[Replica, bytes], float] = {}
        # What was seen that must not be. It is told afterwards: an error raised in the middle of
        # the dispatcher's work would leave that half done, and fail again in a stranger place.
        self.wrongs: list[str] = []
        # Likewise what the sweep has caught.
        globalLogPublisher.addObserver(self.logged)

    @initialize(
        seed=st.integers(0, 1000),
        count=st.sampled_from([3, 2, 3, 4, 5, 1]),
        attempts=st.sampled_from([4, 4, 3, 2, 1]),
        ratio=st.sampled_from([0.0, 0.2, 1.0]),
        per_s=st.sampled_from([50.0, 50.0, 2.0, 0.05, 0.0]),
        learned=st.sampled_from([True, True, False]),
    )
    def begin(
        self, seed: int, count: int, attempts: int, ratio: float, per_s: float, learned: bool
    ) -> None:
        self.budget = BudgetSettings(ratio=ratio, per_s=per_s)
        how = DispatchSettings(attempts=attempts, budget=self.budget)
        self.world = world = World(seed=seed, settings=how)
        self.replicas = world.add("users", count)
        for replica in self.replicas:
            replica.start = partial(self.started, replica, replica.start)  # type: ignore[method-assign]
            replica.finish = partial(self.finished, replica, replica.finish)  # type: ignore[method-assign]
        self.began = world.clock.seconds()
        world.fleet()
        if learned:
            delay = world.dispatcher._services["users"].hedge_delay("fetch")
            for _ in range(100):
                delay.add(HEDGE_S)

    # What happens.

    @rule(
        deadline_s=st.sampled_from([3.0, 0.2, 0.1, 1.0, 0.0, 9.0]),
        retryable=st.sampled_from([True, True, True, False]),
        hedge=st.sampled_from([0.95, 0.95, 0.0]),
        times=st.sampled_from([1, 1, 1, 30]),
        then=st.sampled_from([0.0, 0.045, 0.1, 0.5, 1.1]),
    )
    def call(
        self, deadline_s: float, retryable: bool, hedge: float, times: int, then: float
    ) -> None:
        for _ in range(times):
            target = b"/%d" % len(self.calls)
            request = Request("users", b"GET", target, hedge=hedge, operation="fetch")
            end = self.world.clock.seconds() + deadline_s
            outcome = self.world.call(deadline_s=deadline_s, retryable=retryable, request=request)
            self.calls.append((outcome, end, target))
        self.world.run(then)

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.04, 0.1, 1.5, 12.0]))
    def run(self, seconds: float) -> None:
        self.world.run(seconds)

    @precondition(lambda self: self.calls)
    @rule(number=st.integers(0, 40))
    def cancel(self, number: int) -> None:
        self.calls[-1 - number % len(self.calls)][0].deferred.cancel()

    @rule(every=st.lists(behaviours, min_size=5, max_size=5))
    def behave(self, every: list[Behaviour]) -> None:
        for replica, behaviour in zip(self.replicas, every, strict=False):
            replica.behaviour = behaviour

    @rule(behaviour=behaviours)
    def behave_alike(self, behaviour: Behaviour) -> None:
        self.behave([behaviour] * 5)

    @rule(turns=st.lists(behaviours, min_size=2, max_size=5))
    def behave_by_turns(self, turns: list[Behaviour]) -> None:
        coming = cycle(turns)
        for replica in self.replicas:
            replica.behaviour = lambda replica: next(coming)

    @rule(number=some, how=st.sampled_from(["kill", "freeze", "thaw"]))
    def suffer(self, number: int, how: str) -> None:
        getattr(self.replicas[number % len(self.replicas)], how)()

    @rule(present=present)
    def announce(self, present: set[int]) -> None:
        here = [replica for number, replica in enumerate(self.replicas) if number in present]
        self.world.announce("users", here)

    # What is seen of each attempt.

    @implementer(ILogObserver)
    def logged(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self.wrongs.append(event["log_failure"].getTraceback())

    def started(self, replica: FakeReplica, start: Any, attempt: Attempt) -> None:
        call = the_call(attempt)
        if call is not None:
            record = the_record(attempt)
            self.records.add(record)
            records = self.world.fleet().replicas
            if records.get(replica.endpoint.address) is not record:
                self.wrongs.append("an attempt began on a replica that is not there")
            if call.attempts == 1 or isinstance(attempt, Hedge):
                leaving = [each.draining for each in records.values()]
                if record.draining and not all(leaving):
                    self.wrongs.append("an attempt began on a replica that said it leaves")
            self.firsts += call.attempts == 1
            if self.world.clock.seconds() < self.held.get((record, call._request.target), 0.0):
                self.wrongs.append("a replica that had asked for time was asked again")
        start(attempt)

    def finished(
        self, replica: FakeReplica, finish: Any, attempt: Attempt, outcome: Reply | CallError
    ) -> None:
        call = the_call(attempt)
        if call is not None and isinstance(outcome, Reply) and outcome.status in (429, 503):
            asked_s = float(outcome.header(b"retry-after") or 0)
            key = the_record(attempt), call._request.target
            self.held[key] = self.world.clock.seconds() + asked_s
        finish(attempt, outcome)

    # What holds at any time.

    @invariant()
    def nothing_was_seen_that_must_not_be(self) -> None:
        assert not self.wrongs

    @invariant()
    def somebody_may_be_picked(self) -> None:
        fleet = self.world.fleet()
        assert bool(fleet.available) == bool(fleet.replicas)

    @invariant()
    def attempts_are_where_they_are_believed_to_be(self) -> None:
        running = {id(outcome) for outcome, _, _ in self.calls if outcome.kind == "running"}
        there = [
            [run.attempt for run in replica._running.values() if the_call(run.attempt) is not None]
            for replica in self.replicas
        ]
        assert sum(map(len, there)) <= 2 * len(running)
        believed = Counter[Replica]()
        for replica, attempts in zip(self.replicas, there, strict=True):
            assert replica.in_flight == len(attempts)
            records = [the_record(attempt) for attempt in attempts]
            assert all(record.endpoint is replica.endpoint for record in records)
            believed.update(records)
        assert all(record.in_flight == believed[record] for record in self.records)
        whose = [id(the_call(attempt)) for attempts in there for attempt in attempts]
        assert all(whose.count(call) <= 2 for call in whose)

    @invariant()
    def attempts_are_paid_for(self) -> None:
        if not self.calls:
            return
        (stats,) = self.world.dispatcher.stats()
        seconds = self.world.clock.seconds() - self.began
        paid = self.budget.ratio * len(self.calls) + self.budget.per_s * (seconds + 1)
        assert stats.attempts - self.firsts <= paid + 1e-6
        assert stats.attempts == sum(replica.attempts for replica in self.replicas)
        assert stats.hedges <= stats.attempts - self.firsts

    @invariant()
    def calls_end_in_time(self) -> None:
        now = self.world.clock.seconds()
        limit = self.world.dispatcher._means.settings.attempts
        for outcome, end, _ in self.calls:
            if outcome.ended_at is None:
                assert now <= end + LATE_S
            else:
                assert outcome.ended_at <= end + LATE_S
                assert outcome.kind != "AssertionError"
                assert getattr(outcome.error, "attempts", 0) <= limit

    def teardown(self) -> None:
        world = self.world
        try:
            world.settle()
        finally:
            globalLogPublisher.removeObserver(self.logged)
        assert "running" not in {outcome.kind for outcome, _, _ in self.calls}
        assert all(replica.in_flight == 0 for replica in self.replicas)
        assert all(record.in_flight == 0 for record in self.records)
        assert not world.clock.calls, "no timer is left"
        if self.calls:
            (stats,) = world.dispatcher.stats()
            assert stats.calls == len(self.calls)
            assert stats.throttled <= stats.failures["overloaded"]
        self.nothing_was_seen_that_must_not_be()
        self.somebody_may_be_picked()
        self.attempts_are_paid_for()


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)


def test_the_machine_sees_hedges_and_pushback() -> None:
    # A machine that never gets anywhere would prove nothing.
    machine = Calls()
    machine.begin(seed=1, count=3, attempts=4, ratio=1.0, per_s=50.0, learned=True)
    machine.behave_alike(Answer(after_s=0.3))
    machine.call(deadline_s=3.0, retryable=True, hedge=0.95, times=1, then=0.1)
    machine.attempts_are_where_they_are_believed_to_be()
    machine.behave_alike(Answer(status=503, after_s=0.0, headers=((b"Retry-After", b"1"),)))
    machine.call(deadline_s=3.0, retryable=True, hedge=0.0, times=1, then=0.1)
    (stats,) = machine.world.dispatcher.stats()
    assert (stats.hedges, len(machine.held)) == (1, 3)
    machine.teardown()


def test_one_that_comes_back_is_not_held_to_what_it_asked_for_before() -> None:
    # Found by the machine: the answer of the replica that left comes when it is here again.
    machine = Calls()
    machine.begin(seed=0, count=1, attempts=4, ratio=0.0, per_s=50.0, learned=True)
    pushes = Answer(status=429, after_s=0.04, headers=((b"Retry-After", b"1"),))
    machine.behave_alike(pushes)
    machine.call(deadline_s=3.0, retryable=True, hedge=0.95, times=1, then=0.0)
    machine.announce(set())
    machine.announce({0})
    machine.run(0.04)
    machine.attempts_are_where_they_are_believed_to_be()
    left, back = sorted(machine.records, key=lambda record: record.in_flight)
    assert (left.in_flight, back.in_flight) == (0, 1), "asked at once: it is another process now"
    machine.run(0.5)
    machine.attempts_are_where_they_are_believed_to_be()
    assert back.in_flight == 0, "which has asked for time as well"
    assert machine.replicas[0].attempts == 2
    machine.teardown()
