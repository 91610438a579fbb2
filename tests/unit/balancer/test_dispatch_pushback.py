"""What a service asks for with a refusal, and how a call tells of it at its end."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from balancer import DispatchSettings, Request, ServiceFailed
from balancer.policy import BudgetSettings
from balancer.testing import Answer, Behaviour, Breaks, FakeReplica, Refuses, Silent, World
from balancer.transport.sweep import TICK_S

LATE_S = 1.02 * TICK_S


def pushes(seconds: int, *, status: int = 503, nacked: bool = True) -> Answer:
    """A refusal that asks for time."""
    headers = [(b"Retry-After", b"%d" % seconds)]
    if nacked:
        headers.append((b"Mesh-Nack", b"1"))
    return Answer(status=status, headers=tuple(headers))


def in_turn(*behaviours: Behaviour, replicas: int = 1, backoff_s: float = 0.025) -> World:
    """Replicas that together behave in this order, the last for good."""
    world = World(settings=DispatchSettings(backoff_s=backoff_s))
    left = list(behaviours)

    def behave(_: FakeReplica) -> Behaviour:
        return left.pop(0) if len(left) > 1 else left[0]

    for replica in world.add("users", replicas):
        replica.behaviour = behave
    return world


def asked_at(world: World) -> list[float]:
    """When requests were sent, in seconds since the world began."""
    return sorted(each.at - 1000.0 for r in world.replicas.values() for each in r.received)


@pytest.mark.parametrize(
    "refusal", [pushes(2), pushes(2, status=429), pushes(2, status=429, nacked=False)]
)
def test_a_replica_is_left_alone_for_as_long_as_it_asks(refusal: Answer) -> None:
    world = in_turn(refusal, Answer())
    outcome = world.call(deadline_s=5.0)
    world.settle()
    assert outcome.kind == "answered"
    first, second = asked_at(world)
    assert 2.0 <= second - first - refusal.after_s <= 2.0 + LATE_S


def test_a_longer_backoff_stands() -> None:
    world = in_turn(pushes(1), Answer(), backoff_s=4.0)
    world.call(deadline_s=10.0)
    world.settle()
    first, second = asked_at(world)
    assert 2.0 <= second - first <= 6.0 + 2 * LATE_S


def test_others_are_asked_at_once() -> None:
    world = in_turn(pushes(2), Answer(), replicas=2)
    outcome = world.call()
    world.settle()
    assert outcome.kind == "answered"
    assert outcome.ended_at is not None
    assert outcome.ended_at - 1000.0 < 0.01


def test_when_all_ask_for_time_the_one_that_asks_for_least_is_asked_again() -> None:
    world = World()
    one, two = world.add("users", 2)
    one.behaviour, two.behaviour = pushes(3), pushes(1)
    outcome = world.call(deadline_s=2.5)
    world.run(0.5)
    assert (one.attempts, two.attempts) == (1, 1)
    two.behaviour = Answer()
    world.run(1.0)
    assert outcome.kind == "answered"
    assert (one.attempts, two.attempts) == (1, 2)


def test_who_did_not_ask_for_time_is_asked_again_after_the_backoff() -> None:
    world = World()
    one, two = world.add("users", 2)
    one.behaviour, two.behaviour = pushes(3), Answer(status=500)
    outcome = world.call(deadline_s=2.0)
    world.run(0.5)
    assert outcome.kind == "service-failed"
    assert one.attempts == 1
    assert two.attempts == 3


def test_a_call_that_has_no_time_to_wait_ends_at_once_with_the_refusal() -> None:
    world = in_turn(pushes(1), replicas=2)
    outcome = world.call(deadline_s=1.0)
    world.run(0.01)
    assert isinstance(outcome.error, ServiceFailed)
    assert outcome.error.status == 503
    assert len(asked_at(world)) == 2
    assert not world.in_flight()


@pytest.mark.parametrize(("deadline_s", "kind"), [(2.0, "service-failed"), (9.0, "answered")])
def test_when_the_one_that_is_waited_for_goes_the_others_wish_stands(
    deadline_s: float, kind: str
) -> None:
    world = World()
    one, two = world.add("users", 2)
    one.behaviour, two.behaviour = pushes(3), pushes(1)
    outcome = world.call(deadline_s=deadline_s)
    world.run(0.5)
    one.behaviour = Answer()
    world.announce("users", [one])
    world.settle()
    assert outcome.kind == kind
    assert outcome.ended_at is not None
    if kind == "answered":
        assert 3.0 <= outcome.ended_at - 1000.0 <= 3.0 + 3 * LATE_S
    else:
        assert outcome.ended_at - 1000.0 < 1.1, "as soon as that is known"


def test_waiting_draws_on_the_budget_too() -> None:
    world = World(settings=DispatchSettings(budget=BudgetSettings(ratio=0.0, per_s=0.0)))
    (replica,) = world.add("users")
    replica.behaviour = pushes(1)
    outcome = world.call(deadline_s=5.0)
    world.run(0.01)
    assert (outcome.kind, replica.attempts) == ("service-failed", 1)


# How a call ends when nothing came of the last attempt.


def test_what_was_answered_before_a_wait_is_told_when_the_deadline_passes_in_it() -> None:
    # The wait ends just before the deadline, and the tick that tells of it comes just after.
    world = in_turn(Answer(status=500, after_s=0), backoff_s=0.045)
    kinds = set()
    for _ in range(50):
        outcome = world.call(deadline_s=0.07)
        world.settle()
        kinds.add(outcome.kind)
    assert kinds == {"service-failed"}


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        # It says nothing, or that there was nobody: the reply before it tells more.
        (Refuses(), "service-failed"),
        (Silent(connected=False), "service-failed"),
        # It may have begun something, which the caller must hear.
        (Breaks(), "reply-lost"),
        (Silent(), "deadline"),
    ],
)
def test_the_most_telling_end_is_told(last: Behaviour, kind: str) -> None:
    world = World(settings=DispatchSettings(attempts=2))
    left: list[Behaviour] = [Answer(status=500), last]
    for replica in world.add("users", 2):
        replica.behaviour = lambda _: left.pop(0)
    outcome = world.call()
    world.settle()
    assert outcome.kind == kind
    assert getattr(outcome.error, "attempts", 0) == 2
    if kind == "deadline":
        assert "before that: it answered 500" in str(outcome.error)
    (stats,) = world.dispatcher.stats()
    assert stats.failures == {kind: 1}


def test_a_refusal_before_everybody_left_is_told() -> None:
    world = World()
    replicas = world.add("users", 2)
    for replica in replicas:
        replica.behaviour = pushes(1)
    outcome = world.call(deadline_s=15.0)
    world.run(0.5)
    world.announce("users", [])
    world.settle()
    assert outcome.kind == "service-failed"
    assert outcome.ended_at is not None
    assert 10.0 <= outcome.ended_at - 1000.0 <= 11.0


@pytest.mark.parametrize(
    ("status", "failures", "rejected"),
    [
        (200, {}, 0),
        (404, {}, 1),
        (500, {"service-failed": 1}, 0),
        (502, {"service-failed": 1}, 0),
        (503, {"overloaded": 1}, 0),
        (429, {"overloaded": 1}, 0),
        (504, {"deadline": 1}, 0),
    ],
)
def test_what_an_agent_takes_for_an_answer_is_counted_for_what_it_is(
    status: int, failures: dict[str, int], rejected: int
) -> None:
    world = World()
    (replica,) = world.add("users")
    replica.behaviour = Answer(status=status)
    seen: Deferred[int] = world.dispatcher.call(
        Request("users", b"GET", b"/"),
        world.clock.seconds() + 1,
        lambda reply, attempts: reply.status,
        retryable=False,
    )
    world.settle()
    assert seen.result == status
    (stats,) = world.dispatcher.stats()
    assert (stats.calls, stats.rejected, stats.failures) == (1, rejected, failures)
