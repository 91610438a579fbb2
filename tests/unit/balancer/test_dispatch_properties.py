"""What holds for every history: random scripts, cancellations and fleets, in virtual time."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from balancer import DispatchSettings
from balancer.policy import BudgetSettings
from balancer.testing import (
    Answer,
    Behaviour,
    Breaks,
    FakeReplica,
    Garbled,
    Refuses,
    Silent,
    World,
)
from balancer.transport.sweep import TICK_S

LATE_S = 1.02 * TICK_S

after = st.sampled_from([0.0, 0.001, 0.05, 0.3, 2.0])
behaviours = st.one_of(
    st.builds(Answer, after_s=after),
    st.builds(Answer, after_s=after, status=st.sampled_from([404, 429, 500, 503, 504])),
    after.map(lambda after_s: Answer.nack(after_s=after_s)),
    after.map(lambda after_s: Answer.draining(after_s=after_s)),
    st.builds(Refuses, after_s=after),
    st.builds(Breaks, after_s=after),
    st.builds(Garbled, after_s=after),
    st.builds(Silent, connected=st.booleans()),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.sampled_from([0.0, 0.02, 0.2, 1.0]), st.booleans()),
        st.tuples(st.just("run"), st.sampled_from([0.001, 0.1, 1.5])),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("fleet"), st.sets(st.integers(0, 3))),
        st.tuples(st.just("kill"), st.integers(0, 3)),
        st.tuples(st.just("freeze"), st.integers(0, 3)),
        st.tuples(st.just("thaw"), st.integers(0, 3)),
    ),
    max_size=60,
)


@settings(max_examples=500, deadline=None)
@given(
    seed=st.integers(0, 1000),
    scripts=st.lists(st.lists(behaviours, min_size=1, max_size=6), min_size=4, max_size=4),
    steps=steps,
    limit=st.integers(1, 4),
    budget=st.builds(
        BudgetSettings,
        ratio=st.sampled_from([0.0, 0.2, 1.0]),
        per_s=st.sampled_from([0.0, 2.0, 50.0]),
    ),
)
def test_every_call_ends_once_in_time_within_its_attempts_and_leaves_nothing(
    seed: int,
    scripts: list[list[Behaviour]],
    steps: list[tuple[Any, ...]],
    limit: int,
    budget: BudgetSettings,
) -> None:
    world = World(seed=seed, settings=DispatchSettings(attempts=limit, budget=budget))
    replicas = world.add("users", 4)
    for replica, script in zip(replicas, scripts, strict=True):

        def behave(self: FakeReplica, script: list[Behaviour] = script) -> Behaviour:
            return script[self.attempts % len(script)]

        replica.behaviour = behave
    began = world.clock.seconds()
    outcomes = []
    for step in steps:
        match step:
            case ("call", float(deadline_s), bool(retryable)):
                end = world.clock.seconds() + deadline_s
                outcomes.append((world.call(deadline_s=deadline_s, retryable=retryable), end))
            case ("run", float(seconds)):
                world.run(seconds)
            case ("cancel", int(number)) if number < len(outcomes):
                outcomes[number][0].deferred.cancel()
            case ("fleet", set(present)):
                world.announce("users", [replicas[number] for number in sorted(present)])
            case ("kill", int(number)):
                replicas[number].kill()
            case ("freeze", int(number)):
                replicas[number].freeze()
            case ("thaw", int(number)):
                replicas[number].thaw()
        fleet = world.fleet()
        assert bool(fleet.available) == bool(fleet.replicas), "never nobody"
    seconds = world.clock.seconds() - began
    world.settle()
    for outcome, end in outcomes:
        assert outcome.ended_at is not None, "it ended"
        assert outcome.ended_at <= end + LATE_S, "in time"
        assert outcome.kind != "AssertionError"
        assert getattr(outcome.error, "attempts", 0) <= limit
    assert all(replica.in_flight == 0 for replica in replicas)
    assert all(record.in_flight == 0 for record in world.fleet().replicas.values())
    assert not world.clock.calls, "no timer is left"
    for stats in world.dispatcher.stats():
        assert stats.calls == len(outcomes)
        retries = stats.attempts - stats.calls
        seconds += 1.0  # the last deadline
        paid = budget.ratio * stats.calls + budget.per_s * seconds + budget.per_s
        assert retries <= paid + 1e-6
        assert stats.attempts == sum(replica.attempts for replica in replicas)
