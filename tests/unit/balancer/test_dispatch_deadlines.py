"""Deadlines and cancelling: when a call ends, and what is left behind (nothing)."""

from __future__ import annotations

import pytest

from balancer import DeadlineExceeded, DispatchSettings
from balancer.policy import BalancingSettings, BudgetSettings
from balancer.testing import Answer, Breaks, Refuses, Silent, World
from balancer.transport.sweep import TICK_S

# At its instant or one tick of the sweep later (and what rounding may add to a tick).
LATE_S = 1.02 * TICK_S


@pytest.mark.parametrize("deadline_s", [0.001, 0.03, 0.25, 1.0, 7.0])
@pytest.mark.parametrize("behaviour", [Silent(), Silent(connected=False), Answer(after_s=10.0)])
@pytest.mark.parametrize("retryable", [True, False])
def test_a_call_ends_at_its_deadline(
    deadline_s: float, behaviour: Answer | Silent, retryable: bool
) -> None:
    world = World()
    for replica in world.add("users", 3):
        replica.behaviour = behaviour
    outcome = world.call(deadline_s=deadline_s, retryable=retryable)
    end = world.clock.seconds() + deadline_s
    world.settle()
    assert isinstance(outcome.error, DeadlineExceeded)
    assert outcome.ended_at is not None
    assert end <= outcome.ended_at <= end + LATE_S
    assert outcome.error.sent is (behaviour != Silent(connected=False))
    assert f"the deadline of {deadline_s:.3f} s ran out" in str(outcome.error)
    assert sum(r.abandoned for r in world.replicas.values()) == outcome.error.attempts
    assert world.in_flight() == 0
    assert not world.clock.calls


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    world = World()
    (replica,) = world.add("users")
    outcome = world.call(deadline_s=-0.001)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert "before it was sent" in str(outcome.error)
    assert replica.attempts == 0
    (stats,) = world.dispatcher.stats()
    assert (stats.calls, stats.failures) == (1, {"deadline": 1})


def test_the_first_silence_takes_its_share_and_the_last_what_is_left() -> None:
    world = World()
    replicas = world.add("users", 3)
    for replica in replicas:
        replica.behaviour = Silent()
    began = world.clock.seconds()
    world.call(deadline_s=1.0)
    world.settle()
    starts = sorted(r.at - began for replica in replicas for r in replica.received)
    assert starts[0] == 0
    assert 0.4 <= starts[1] <= 0.4 + LATE_S
    assert 0.4 + 0.4 * 0.58 <= starts[2] <= 0.64 + 2 * LATE_S


def test_what_was_never_sent_is_tried_elsewhere_although_it_must_not_be_repeated() -> None:
    # A machine that is gone answers no connect: the call has done nothing yet.
    world = World()
    gone, _ = world.add("users", 2)
    gone.behaviour = Silent(connected=False)
    outcomes = world.load(100, 2.0, deadline_s=0.5, retryable=False)
    world.settle()
    assert {outcome.kind for outcome in outcomes} == {"answered"}
    assert gone.attempts >= 1


def test_what_was_sent_and_must_not_be_repeated_keeps_its_whole_deadline() -> None:
    world = World()
    slow, other = world.add("users", 2)
    slow.behaviour = other.behaviour = Answer(after_s=0.9)
    outcome = world.call(deadline_s=1.0, retryable=False)
    world.settle()
    assert outcome.kind == "answered"
    assert slow.attempts + other.attempts == 1
    assert [r.failures for r in world.fleet().replicas.values()] == [0, 0]


@pytest.mark.parametrize("count", [1, 2])
def test_a_slow_replica_is_not_given_up_while_there_is_no_other_to_ask(count: int) -> None:
    # Asking the same one again would begin from the start, and lose what it has done already.
    world = World()
    for replica in world.add("users", count):
        replica.behaviour = Answer(after_s=0.55)
    outcomes = []
    for _ in range(20):
        outcomes.append(world.call(deadline_s=1.0))
        world.settle()
    assert {outcome.kind for outcome in outcomes} == {"answered"}


def test_a_short_deadline_is_not_cut_up() -> None:
    world = World()
    for replica in world.add("users", 2):
        replica.behaviour = Answer(after_s=0.08)
    outcome = world.call(deadline_s=0.1)
    world.settle()
    assert outcome.kind == "answered"
    assert sum(replica.attempts for replica in world.replicas.values()) == 1


@pytest.mark.parametrize(
    ("behaviour", "sent", "before"),
    [(Refuses(after_s=0), False, "no connection"), (Breaks(after_s=0), True, "closed")],
)
def test_a_deadline_that_passes_in_a_wait_says_what_was_before(
    behaviour: Refuses | Breaks, sent: bool, before: str
) -> None:
    # The wait ends just before the deadline, and the tick that tells of it comes just after.
    world = World(settings=DispatchSettings(backoff_s=0.045))
    (replica,) = world.add("users")
    replica.behaviour = behaviour
    outcomes = []
    for _ in range(50):
        outcomes.append(world.call(deadline_s=0.07))
        world.settle()
    ended = [outcome.error for outcome in outcomes if outcome.kind == "deadline"]
    assert ended
    for error in ended:
        assert isinstance(error, DeadlineExceeded)
        assert error.sent is sent
        assert before in str(error).partition("before that: ")[2]
    assert {outcome.kind for outcome in outcomes} <= {"deadline", "connect", "reply-lost"}


@pytest.mark.parametrize("behaviour", [Silent(), Silent(connected=False), Answer(after_s=0.5)])
def test_a_cancelled_call_is_taken_back_from_its_replica(behaviour: Answer | Silent) -> None:
    world = World()
    (replica,) = world.add("users")
    replica.behaviour = behaviour
    outcome = world.call()
    world.run(0.1)
    outcome.deferred.cancel()
    assert outcome.kind == "CancelledError"
    assert (replica.abandoned, replica.in_flight, world.in_flight()) == (1, 0, 0)
    world.settle()
    (stats,) = world.dispatcher.stats()
    assert (stats.calls, stats.failures) == (1, {"cancelled": 1})
    assert [r.failures for r in world.fleet().replicas.values()] == [0], "no fault of the replica's"


def test_a_call_cancelled_while_it_waits_asks_nobody_again() -> None:
    world = World()
    (replica,) = world.add("users")
    replica.behaviour = Refuses(after_s=0)
    outcome = world.call()
    outcome.deferred.cancel()
    world.settle()
    assert outcome.kind == "CancelledError"
    assert replica.attempts == 1


def test_a_cancelled_probe_lets_another_be_sent() -> None:
    world = World(settings=DispatchSettings(budget=BudgetSettings(per_s=100.0)))
    bad, _ = world.add("users", 2)
    bad.kill()
    world.load(100, 0.5)
    bad.behaviour = Answer(after_s=0.3)
    world.run(2.0)
    probe = world.call()
    assert bad.in_flight == 1
    assert world.call().kind == "running"
    assert bad.in_flight == 1, "one probe at a time"
    probe.deferred.cancel()
    assert bad.in_flight == 0
    world.call()
    assert bad.in_flight == 1
    world.settle()
    assert len(world.fleet().available) == 2


def test_late_answers_do_not_restore_and_late_failures_do_not_eject() -> None:
    # With a policy that deals out calls that come at one moment evenly.
    world = World(settings=DispatchSettings(balancing=BalancingSettings(policy="least-loaded")))
    bad, good = world.add("users", 2)
    good.behaviour = Answer(after_s=0.05)
    late = [Answer(after_s=0.9), *[Breaks(after_s=2.5)] * 7]
    bad.behaviour = lambda self: late[self.attempts - 1] if self.attempts <= 8 else Silent()
    # Calls that may not be repeated are with both ...
    slow = [world.call(deadline_s=3.0, retryable=False) for _ in range(16)]
    assert (bad.in_flight, good.in_flight) == (8, 8)
    # ... while others find out that one has fallen silent.
    world.load(200, 0.8, deadline_s=0.25)
    record = world.fleet().replicas[bad.endpoint.address]
    assert record.ejected_until
    world.run(0.15)
    assert {outcome.kind for outcome in slow} == {"answered", "running"}
    assert record.ejected_until, "what began before the ejection was answered, and says nothing"
    bad.behaviour = Answer()
    world.load(200, 1.4)
    assert not record.ejected_until, "its probe was answered"
    assert world.kinds["reply-lost"] == 0
    world.load(200, 0.5)
    assert world.kinds["reply-lost"] == 7
    assert not record.ejected_until, "what began before the ejection failed, and says nothing"
    world.settle()
    assert set(world.kinds) == {"answered", "reply-lost"}
