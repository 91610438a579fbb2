"""Hedged calls, in virtual time: when the second attempt goes out, who wins, and what is left."""

from __future__ import annotations

import msgspec
import pytest

from balancer import DeadlineExceeded, DispatchSettings, Request
from balancer.policy import BudgetSettings, EjectionSettings, ThrottleSettings
from balancer.telemetry import CallStats
from balancer.testing import (
    Answer,
    Behaviour,
    Breaks,
    FakeReplica,
    Outcome,
    Refuses,
    Silent,
    World,
)
from balancer.transport.sweep import TICK_S
from balancer.values import Endpoint

USUAL_S = 0.1
LATE_S = 1.02 * TICK_S
NO_BUDGET = DispatchSettings(budget=BudgetSettings(ratio=0.0, per_s=0.0))


def hedged(world: World, *, deadline_s: float = 2.0, retryable: bool = True) -> Outcome:
    """Make a call that may be hedged."""
    request = Request("users", b"GET", b"/v1/thing", hedge=0.95, operation="fetch")
    return world.call(deadline_s=deadline_s, retryable=retryable, request=request)


def learned(count: int = 2, settings: DispatchSettings | None = None, calls: int = 100) -> World:
    """A world in which calls took the usual time so far."""
    world = World(settings=settings)
    for replica in world.add("users", count):
        replica.behaviour = Answer(after_s=USUAL_S)
    for _ in range(calls):
        hedged(world)
        world.run(USUAL_S)
    assert world.kinds == {"answered": calls}
    for replica in world.replicas.values():
        replica.received.clear()
    return world


def script(world: World, *behaviours: Behaviour) -> list[FakeReplica]:
    """Have the replicas behave in the order in which they are asked from now on.

    Returns:
        Those that were asked, filled in as it happens.
    """
    asked: list[FakeReplica] = []

    def behave(self: FakeReplica) -> Behaviour:
        asked.append(self)
        return behaviours[min(len(asked), len(behaviours)) - 1]

    for replica in world.replicas.values():
        replica.behaviour = behave
    return asked


def stats(world: World) -> CallStats:
    return world.dispatcher.stats()[0]


def failures(world: World) -> list[int]:
    return [record.failures for record in world.fleet().replicas.values()]


def assert_nothing_is_left(world: World) -> None:
    assert world.in_flight() == 0
    assert all(replica.in_flight == 0 for replica in world.replicas.values())


def test_a_slow_call_is_sent_to_another_replica_and_the_first_is_taken_back() -> None:
    world = learned()
    asked = script(world, Answer(after_s=1.5), Answer(after_s=0.05))
    began = world.clock.seconds()
    outcome = hedged(world)
    world.run(1.0)
    one, two = asked
    assert one is not two
    assert outcome.kind == "answered"
    assert outcome.ended_at is not None
    assert USUAL_S <= outcome.ended_at - began - 0.05 <= USUAL_S + LATE_S
    assert (one.abandoned, two.abandoned) == (1, 0)
    assert [r.attempt for r in (*one.received, *two.received)] == [1, 2]
    assert one.received[0].deadline_ms - two.received[0].deadline_ms >= 100
    assert (stats(world).hedges, stats(world).attempts) == (1, 102)
    assert failures(world) == [0, 0], "that it lost is no fault"
    assert_nothing_is_left(world)


def test_the_first_may_still_win() -> None:
    world = learned()
    asked = script(world, Answer(after_s=0.15), Answer(after_s=0.5))
    outcome = hedged(world)
    world.settle()
    assert (outcome.kind, stats(world).hedges) == ("answered", 1)
    assert [replica.abandoned for replica in asked] == [0, 1]
    assert failures(world) == [0, 0]
    assert_nothing_is_left(world)


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=500, after_s=0.05),
        Answer.nack(after_s=0.05),
        Answer(status=504, after_s=0.05),
        Breaks(after_s=0.05),
        Refuses(after_s=0.05),
    ],
)
def test_when_one_ends_badly_the_other_carries_the_call(bad: Behaviour) -> None:
    slow = Answer(after_s=0.4)
    world = learned(3)
    asked = script(world, slow, bad)
    outcome = hedged(world)
    world.run(1.0)
    assert (outcome.kind, len(asked)) == ("answered", 2), "the first carries on"
    later = msgspec.structs.replace(bad, after_s=USUAL_S + 0.05)
    asked = script(world, later, Answer(after_s=0.2))
    outcome = hedged(world)
    world.run(1.0)
    assert (outcome.kind, len(asked)) == ("answered", 2), (
        "the hedge carries on, nobody else is asked"
    )
    assert stats(world).hedges == 2
    assert not sum(replica.abandoned for replica in world.replicas.values())
    assert_nothing_is_left(world)


@pytest.mark.parametrize("first_ends", [0.15, 0.3])
def test_only_when_both_have_ended_badly_it_is_tried_again(first_ends: float) -> None:
    world = learned(3)
    asked = script(
        world, Answer(status=500, after_s=first_ends), Breaks(after_s=0.1), Answer(after_s=0.01)
    )
    outcome = hedged(world)
    world.run(1.0)
    assert outcome.kind == "answered"
    assert len(asked) == len(set(asked)) == 3
    assert [each.attempt for replica in asked for each in replica.received] == [1, 2, 3]
    assert_nothing_is_left(world)


def test_when_all_have_ended_badly_the_reply_is_told() -> None:
    world = learned(2, DispatchSettings(attempts=2))
    asked = script(world, Answer(status=500, after_s=0.2), Refuses(after_s=0.2))
    outcome = hedged(world)
    world.settle()
    assert (outcome.kind, len(asked)) == ("service-failed", 2)
    assert stats(world).failures == {"service-failed": 1}


def test_a_rejection_is_an_answer() -> None:
    world = learned()
    asked = script(world, Answer(after_s=1.0), Answer(status=404, after_s=0.01))
    outcome = hedged(world)
    world.run(0.2)
    assert outcome.reply is not None
    assert outcome.reply.status == 404
    assert asked[0].abandoned == 1
    assert stats(world).rejected == 1


def test_hedges_are_paid_for_like_retries() -> None:
    world = learned(settings=NO_BUDGET)
    script(world, Answer(after_s=0.5))
    outcome = hedged(world)
    world.settle()
    assert (outcome.kind, stats(world).hedges, stats(world).attempts) == ("answered", 0, 101)


def test_hedges_and_retries_share_one_balance() -> None:
    # 100 calls at a hundredth each pay for one attempt more, and the opening for none.
    budget = BudgetSettings(ratio=0.01, per_s=0.0)
    world = learned(3, DispatchSettings(budget=budget))
    asked = script(world, Answer(status=500, after_s=0.2), Breaks(after_s=0.2), Answer())
    outcome = hedged(world)
    world.settle()
    assert (outcome.kind, len(asked)) == ("reply-lost", 2), "nothing is left for a retry"


def test_without_an_untried_replica_there_is_no_hedge() -> None:
    world = learned(1)
    script(world, Answer(after_s=0.5))
    outcome = hedged(world)
    world.settle()
    assert (outcome.kind, stats(world).hedges) == ("answered", 0)


def test_an_ejected_replica_is_no_place_for_a_hedge() -> None:
    settings = DispatchSettings(ejection=EjectionSettings(base_s=60.0))
    world = learned(2, settings)
    dead, slow = world.replicas.values()
    dead.kill()
    world.load(100, 0.5)
    slow.behaviour = Answer(after_s=0.5)
    taken = dead.attempts
    outcome = hedged(world)
    world.run(1.0)
    assert (outcome.kind, stats(world).hedges, dead.attempts) == ("answered", 0, taken)


@pytest.mark.parametrize(("calls", "hedges"), [(99, 0), (100, 1)])
def test_nothing_is_hedged_before_enough_is_known(calls: int, hedges: int) -> None:
    world = learned(calls=calls)
    script(world, Answer(after_s=0.5))
    hedged(world)
    world.settle()
    assert stats(world).hedges == hedges


def test_what_must_not_be_repeated_is_never_hedged() -> None:
    world = learned()
    script(world, Answer(after_s=0.5))
    hedged(world, retryable=False)
    world.call()
    world.settle()
    assert stats(world).hedges == 0


def test_a_call_has_no_more_attempts_than_are_set() -> None:
    world = learned(settings=DispatchSettings(attempts=1))
    script(world, Answer(after_s=0.5))
    hedged(world)
    world.settle()
    assert stats(world).hedges == 0


def test_nothing_is_hedged_while_the_service_refuses_most() -> None:
    world = learned(settings=DispatchSettings(throttle=ThrottleSettings(window_s=10.0)))
    for replica in world.replicas.values():
        replica.behaviour = Answer.nack()
    world.load(100, 2.0)
    script(world, Answer(after_s=0.5))
    outcomes = [hedged(world) for _ in range(100)]
    world.run(1.0)
    assert {outcome.kind for outcome in outcomes} == {"answered", "overloaded"}
    assert stats(world).hedges == 0


def test_the_delay_is_measured_apart_for_each_operation() -> None:
    world = learned()
    script(world, Answer(after_s=0.5))
    world.call(request=Request("users", b"GET", b"/v1/all", hedge=0.95, operation="list"))
    world.settle()
    assert stats(world).hedges == 0


def test_the_delay_follows_the_service() -> None:
    world = learned(settings=DispatchSettings(budget=BudgetSettings(per_s=0.0)))
    script(world, Answer(after_s=0.3))
    for _ in range(300):
        hedged(world)
        world.run(0.5)
    before = stats(world).hedges
    assert before <= 0.2 * 400, "the budget held it"
    for _ in range(100):
        hedged(world)
        world.run(0.5)
    assert stats(world).hedges == before, "three times as long is usual now"


@pytest.mark.parametrize("behaviour", [Silent(), Silent(connected=False)])
def test_when_both_are_silent_the_call_ends_at_its_deadline(behaviour: Silent) -> None:
    world = learned(4)
    script(world, behaviour)
    began = world.clock.seconds()
    outcome = hedged(world, deadline_s=2.0)
    world.settle()
    assert outcome.kind == "deadline"
    assert outcome.ended_at is not None
    assert 2.0 <= outcome.ended_at - began <= 2.0 + LATE_S
    assert getattr(outcome.error, "attempts", 0) == 4
    assert sum(replica.attempts - replica.abandoned for replica in world.replicas.values()) == 100
    assert_nothing_is_left(world)


def test_when_both_run_at_the_deadline_both_are_taken_back() -> None:
    # So short a deadline is not shared out: the first attempt has all of it.
    world = learned()
    asked = script(world, Silent())
    outcome = hedged(world, deadline_s=0.124)
    world.settle()
    assert outcome.kind == "deadline"
    assert [replica.abandoned for replica in asked] == [1, 1]
    assert_nothing_is_left(world)


@pytest.mark.parametrize("connected", [(True, False), (False, True), (False, False)])
def test_whether_it_was_sent_is_told_of_both(connected: tuple[bool, bool]) -> None:
    world = learned()
    script(world, *(Silent(connected=each) for each in connected))
    outcome = hedged(world, deadline_s=0.124)
    world.settle()
    assert isinstance(outcome.error, DeadlineExceeded)
    assert outcome.error.sent is any(connected)


def test_a_call_that_waits_to_try_again_is_not_hedged_meanwhile() -> None:
    world = learned(1, DispatchSettings(backoff_s=0.1))
    asked = script(world, Refuses(after_s=0.01), Answer(after_s=0.3))
    world.add("users")[0].behaviour = Refuses(after_s=0.01)
    for _ in range(5):
        outcome = hedged(world)
        world.settle()
        assert outcome.kind == "answered"
    assert asked
    assert_nothing_is_left(world)


def test_a_hedge_gets_a_share_of_its_own_when_the_first_has_had_its() -> None:
    world = learned(3)
    asked = script(world, Silent(), Silent(), Answer(after_s=0.01))
    began = world.clock.seconds()
    outcome = hedged(world, deadline_s=2.0)
    world.run(0.85)
    assert [replica.abandoned for replica in asked] == [1, 0], "after 0.4 of the deadline"
    world.settle()
    assert outcome.kind == "answered"
    assert outcome.ended_at is not None
    assert 1.28 <= outcome.ended_at - began - 0.01 <= 1.28 + 3 * LATE_S
    assert_nothing_is_left(world)


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.9])
def test_a_cancelled_call_leaves_nothing_with_anybody(after_s: float) -> None:
    # Before the hedge, while both run, and when the hedge has taken the first one's place.
    world = learned(2)
    asked = script(world, Silent())
    outcome = hedged(world)
    world.run(after_s)
    outcome.deferred.cancel()
    assert outcome.kind == "CancelledError"
    assert all(replica.abandoned == 1 for replica in asked)
    assert_nothing_is_left(world)
    world.settle()
    assert stats(world).failures == {"cancelled": 1}


def test_a_hedge_to_an_address_that_is_none_costs_nothing_but_itself() -> None:
    world = learned(1)
    (good,) = world.replicas.values()
    bad = Endpoint(service="users", replica="users-9", address="nonsense", pid=9)
    world.registry.set("users", [good.endpoint, bad])
    good.behaviour = Answer(after_s=0.5)
    kinds = set()
    for _ in range(10):
        outcome = hedged(world)
        world.run(1.0)
        kinds.add(outcome.kind)
    assert kinds == {"answered"}
    assert stats(world).hedges
    assert_nothing_is_left(world)
