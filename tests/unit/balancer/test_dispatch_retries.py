"""What the call loop tries again, where, and how often; in virtual time."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from balancer import (
    BadReply,
    ConnectFailed,
    DispatchSettings,
    Endpoint,
    NoReplicas,
    Overloaded,
    Rejected,
    Reply,
    Request,
    ServiceFailed,
)
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

NO_BUDGET = DispatchSettings(budget=BudgetSettings(ratio=0.0, per_s=0.0))


def errors(deferred: Deferred[None]) -> list[BaseException | None]:
    """What a call failed with, once it has."""
    seen: list[BaseException | None] = []

    def catch(failure: Failure) -> None:
        seen.append(failure.value)

    deferred.addErrback(catch)
    return seen


def bad_then_good(first: Behaviour, *, seed: int = 0) -> tuple[World, FakeReplica, FakeReplica]:
    """Two replicas, of which the one that is asked first behaves badly, and the other well."""
    world = World(seed=seed)
    replicas = world.add("users", 2)
    asked: list[FakeReplica] = []

    def behave(self: FakeReplica) -> Behaviour:
        asked.append(self)
        return first if self is asked[0] else Answer()

    for replica in replicas:
        replica.behaviour = behave
    return world, replicas[0], replicas[1]


@pytest.mark.parametrize(
    ("first", "retryable", "attempts"),
    [
        # Never sent, or not begun: anything may be tried again.
        (Refuses(), True, 2),
        (Refuses(), False, 2),
        (Answer.nack(), True, 2),
        (Answer.nack(), False, 2),
        (Answer(status=429, headers=((b"mesh-nack", b"1"),)), False, 2),
        # Perhaps begun: only what may be done twice.
        (Breaks(), True, 2),
        (Breaks(), False, 1),
        (Answer(status=500), True, 2),
        (Answer(status=500), False, 1),
        (Answer(status=502), True, 2),
        (Answer(status=503), True, 2),
        (Answer(status=503), False, 1),
        (Answer(status=429), True, 2),
        (Silent(), True, 2),
        (Silent(), False, 1),
        # Another would say the same.
        (Answer(status=404), True, 1),
        (Answer(status=409), True, 1),
        (Answer(status=501), True, 1),
        (Answer(status=504), True, 1),
        (Answer(status=505), True, 1),
        (Garbled(), True, 1),
    ],
)
def test_what_is_tried_again(first: Behaviour, retryable: bool, attempts: int) -> None:
    world, one, two = bad_then_good(first)
    outcome = world.call(retryable=retryable)
    world.settle()
    assert one.attempts + two.attempts == attempts
    if attempts == 2:
        assert one.attempts == two.attempts == 1, "the other replica is asked"
        assert outcome.kind == "answered"
    assert outcome.kind != "running"
    assert world.in_flight() == 0


def test_a_retry_says_that_it_is_one_and_how_much_time_is_left() -> None:
    world, one, two = bad_then_good(Silent())
    world.call(deadline_s=1.0)
    world.settle()
    first, second = sorted([*one.received, *two.received], key=lambda received: received.at)
    assert (first.attempt, first.deadline_ms) == (1, 1000)
    assert second.attempt == 2
    assert 570 <= second.deadline_ms <= 600
    assert b"\r\nMesh-Attempt:" not in first.data


def test_the_deadline_header_falls_with_each_attempt() -> None:
    world = World()
    for replica in world.add("users", 4):
        replica.behaviour = Answer(status=500, after_s=0.1)
    world.call(deadline_s=2.0)
    world.settle()
    received = sorted((r for x in world.replicas.values() for r in x.received), key=lambda r: r.at)
    assert [each.attempt for each in received] == [1, 2, 3, 4]
    left = [each.deadline_ms for each in received]
    assert left == sorted(left, reverse=True)
    assert len(set(left)) == 4


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_attempts_are_limited(limit: int) -> None:
    world = World(settings=DispatchSettings(attempts=limit))
    for replica in world.add("users", 6):
        replica.behaviour = Breaks()
    outcome = world.call()
    world.settle()
    assert sum(replica.attempts for replica in world.replicas.values()) == limit
    assert all(replica.attempts <= 1 for replica in world.replicas.values())
    assert outcome.kind == "reply-lost"
    assert getattr(outcome.error, "attempts", None) == limit
    assert getattr(outcome.error, "service", None) == "users"


def test_without_budget_nothing_is_tried_again() -> None:
    world = World(settings=NO_BUDGET)
    for replica in world.add("users", 2):
        replica.behaviour = Refuses()
    assert world.call()
    world.settle()
    assert world.kinds == {"connect": 1}


def test_a_silent_replica_gets_the_whole_deadline_when_no_other_may_be_asked() -> None:
    world = World(settings=NO_BUDGET)
    for replica in world.add("users", 2):
        replica.behaviour = Answer(after_s=0.8)
    outcome = world.call(deadline_s=1.0)
    world.settle()
    assert outcome.kind == "answered"


def test_one_attempt_is_one_failure_although_it_has_two_time_limits() -> None:
    world = World(settings=NO_BUDGET)
    (replica,) = world.add("users")
    replica.behaviour = Silent()
    world.call(deadline_s=1.0)
    world.settle()
    assert [r.failures for r in world.fleet().replicas.values()] == [1]


def test_a_single_replica_is_asked_again_after_a_wait() -> None:
    world = World()
    (replica,) = world.add("users")
    replica.behaviour = Refuses(after_s=0)
    began = world.clock.seconds()
    outcome = world.call()
    assert (outcome.kind, replica.attempts) == ("running", 1)
    world.run(0.012)
    assert replica.attempts == 1, "not at once"
    world.run(0.04)
    assert replica.attempts == 2
    replica.behaviour = Answer()
    world.settle()
    assert outcome.kind == "answered"
    assert outcome.ended_at is not None
    assert outcome.ended_at - began < 0.2


def test_after_a_wait_the_well_are_asked_again_and_not_the_ejected() -> None:
    world = World()
    dead, good = world.add("users", 2)
    dead.kill()
    world.load(100, 0.5)
    taken = dead.attempts
    ends = [Answer(status=500), Answer()]
    good.behaviour = lambda self: ends.pop(0)
    outcome = world.call()
    world.run(0.3)
    assert outcome.kind == "answered"
    assert dead.attempts == taken


def test_no_replica_is_said_at_once() -> None:
    world = World()
    outcome = world.call()
    assert isinstance(outcome.error, NoReplicas)
    assert "no replica of users is announced" in str(outcome.error)
    assert not world.clock.calls


def test_replicas_that_come_and_go_are_followed() -> None:
    world = World()
    assert world.call().kind == "no-replicas"
    (one,) = world.add("users")
    world.load(100, 0.1)
    (two,) = world.add("users")
    world.announce("users", [two])
    taken = one.attempts
    world.load(100, 0.1)
    assert one.attempts == taken
    assert [channel.closed for channel in world.channels] == [True, False]
    world.announce("users", [])
    last = world.call()
    world.settle()
    assert last.kind == "no-replicas"
    assert world.kinds == {"answered": 20, "no-replicas": 2}


@pytest.mark.parametrize("retryable", [True, False])
def test_calls_wait_while_all_replicas_are_replaced_at_once(retryable: bool) -> None:
    world = World()
    world.add("users", 2)
    world.load(100, 0.1, retryable=retryable)
    world.announce("users", [])
    world.load(100, 0.5, retryable=retryable, deadline_s=2.0)
    world.announce("users", world.add("users", 2))
    world.load(100, 0.1, retryable=retryable)
    world.settle()
    assert world.kinds == {"answered": 70}


def test_a_service_that_is_gone_for_long_is_not_waited_for() -> None:
    world = World()
    world.add("users")
    world.load(100, 0.1)
    world.announce("users", [])
    world.clock.advance(10.0)
    assert world.call().kind == "no-replicas"


def test_a_replica_that_leaves_may_still_answer_what_it_has() -> None:
    world = World()
    (one,) = world.add("users")
    one.behaviour = Answer(after_s=0.2)
    outcome = world.call()
    world.announce("users", [])
    world.settle()
    assert outcome.kind == "answered"


def test_an_address_that_is_none_costs_an_attempt_and_not_the_call() -> None:
    # A registry is other people's data: one bad entry must not fail the calls that pick it.
    world = World()
    (good,) = world.add("users")
    bad = Endpoint(service="users", replica="users-9", address="nonsense", pid=9)
    world.registry.set("users", [bad, good.endpoint])
    outcomes = world.load(100, 1.0)
    world.settle()
    assert {outcome.kind for outcome in outcomes} == {"answered"}
    assert world.in_flight() == 0
    world.registry.set("users", [bad])
    outcome = world.call()
    world.settle()
    assert isinstance(outcome.error, ConnectFailed)
    assert "nonsense" in str(outcome.error)


@pytest.mark.parametrize(
    ("status", "kind"), [(500, ServiceFailed), (503, ServiceFailed), (404, Reply), (302, Reply)]
)
def test_the_last_reply_is_settled_whatever_it_is(status: int, kind: type) -> None:
    world = World()
    for replica in world.add("users", 2):
        replica.behaviour = Answer(status=status)
    outcome = world.call()
    world.settle()
    assert isinstance(outcome.error or outcome.reply, kind)


@pytest.mark.parametrize(
    ("status", "raised", "failures", "rejected"),
    [
        (404, Rejected("no", status=404), {}, 1),
        (503, Overloaded("no", status=503), {"overloaded": 1}, 0),
        (200, BadReply("what?", sent=True), {"bad-reply": 1}, 0),
    ],
)
def test_what_settling_raises_is_counted_and_told(
    status: int, raised: Exception, failures: dict[str, int], rejected: int
) -> None:
    world = World()
    (replica,) = world.add("users")
    replica.behaviour = Answer(status=status)

    def settle(_reply: Reply, _attempts: int) -> None:
        raise raised

    deferred: Deferred[None] = world.dispatcher.call(
        Request("users", b"GET", b"/"), world.clock.seconds() + 0.05, settle, retryable=False
    )
    seen = errors(deferred)
    world.settle()
    assert seen == [raised]
    (stats,) = world.dispatcher.stats()
    assert (stats.calls, stats.attempts, stats.rejected) == (1, 1, rejected)
    assert stats.failures == failures


def test_a_bug_in_settling_reaches_the_caller() -> None:
    world = World()
    world.add("users")

    def settle(_reply: Reply, _attempts: int) -> None:
        raise ZeroDivisionError

    deferred: Deferred[None] = world.dispatcher.call(
        Request("users", b"GET", b"/"), world.clock.seconds() + 1, settle, retryable=False
    )
    seen = errors(deferred)
    world.settle()
    assert [type(error) for error in seen] == [ZeroDivisionError]
    assert world.in_flight() == 0


def test_services_have_their_own_replicas_and_budgets() -> None:
    world = World(settings=DispatchSettings(budget=BudgetSettings(ratio=0.0, per_s=1.0)))
    for replica in world.add("users", 2):
        replica.behaviour = Refuses()
    world.add("products", 2)
    for _ in range(5):
        world.call("users")
    world.call("products")
    world.settle()
    assert world.kinds == {"connect": 5, "answered": 1}
    assert {stats.service for stats in world.dispatcher.stats()} == {"users", "products"}
    world.dispatcher.close()
    assert all(channel.closed for channel in world.channels)


def test_a_replica_that_says_it_drains_is_left() -> None:
    world = World()
    one, two = world.add("users", 2)
    one.behaviour = Answer.draining()
    world.load(100, 1.0)
    assert one.attempts <= 2
    assert two.attempts >= 98
    world.announce("users", [one])
    assert world.call().kind == "running", "better one that leaves than none"
    world.settle()
    assert set(world.kinds) == {"answered"}


@pytest.mark.parametrize(
    "settings",
    [{"attempts": 0}, {"backoff_s": -0.1}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        DispatchSettings(**settings)  # type: ignore[arg-type]
