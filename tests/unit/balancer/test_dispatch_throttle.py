"""Calls that are not sent, because the service refuses nearly all; in virtual time."""

from __future__ import annotations

import pytest

from balancer import DispatchSettings, Overloaded
from balancer.policy import ThrottleSettings
from balancer.telemetry import CallStats
from balancer.testing import Answer, Behaviour, FakeReplica, World


class Room:
    """A replica that takes so many calls a second, spread evenly, and refuses the others."""

    def __init__(self, world: World, per_s: float) -> None:
        self.per_s = per_s
        self._clock = world.clock
        self._left = 1.0
        self._seen_at = world.clock.seconds()

    def __call__(self, replica: FakeReplica) -> Behaviour:
        now = self._clock.seconds()
        self._left = min(self._left + (now - self._seen_at) * self.per_s, 0.05 * self.per_s)
        self._seen_at = now
        if self._left < 1:
            return Answer.nack(after_s=0.001)
        self._left -= 1
        return Answer(after_s=0.005)


def one_server(per_s: float, settings: DispatchSettings | None = None) -> tuple[World, Room]:
    world = World(seed=1, settings=settings)
    (replica,) = world.add("users")
    replica.keeps = False
    replica.behaviour = room = Room(world, per_s)
    return world, room


def stats(world: World) -> CallStats:
    return world.dispatcher.stats()[0]


@pytest.mark.parametrize(("wanted", "share"), [(150, 0.0), (300, 1 / 3), (1000, 0.8)])
def test_what_is_sent_settles_at_twice_what_is_accepted(wanted: float, share: float) -> None:
    world, _ = one_server(100.0)
    world.load(wanted, 4.0)
    before = stats(world).calls, stats(world).throttled, world.kinds["answered"]
    world.load(wanted, 20.0)
    calls, throttled = stats(world).calls - before[0], stats(world).throttled - before[1]
    assert throttled / calls == pytest.approx(share, rel=0.03)
    assert calls - throttled == pytest.approx(min(wanted, 200.0) * 20.0, rel=0.03)
    assert world.kinds["answered"] - before[2] == pytest.approx(100 * 20, rel=0.03)


def test_after_an_overload_everything_is_sent_again_within_the_window() -> None:
    world, _ = one_server(100.0)
    world.load(70, 5.0)
    world.load(500, 10.0)
    world.load(70, 2.5)
    answered = world.kinds["answered"]
    world.load(70, 5.0)
    world.run(1.0)
    assert world.kinds["answered"] - answered >= 0.95 * 70 * 5


def test_after_everything_was_refused_everything_is_sent_again_within_five_seconds() -> None:
    world, room = one_server(1000.0)
    world.load(700, 2.0)
    room.per_s = 0.0
    world.load(700, 5.0)
    room.per_s = 1000.0
    world.load(700, 5.0)
    answered = world.kinds["answered"]
    world.load(700, 2.0)
    world.run(1.0)
    assert world.kinds["answered"] - answered >= 0.95 * 700 * 2


def test_a_quiet_caller_is_not_throttled() -> None:
    world, _ = one_server(0.0)
    world.load(3, 30.0)
    world.settle()
    assert stats(world).throttled == 0
    assert world.kinds == {"service-failed": 90}


def test_a_call_that_is_not_sent_says_so_at_once_and_costs_nobody_anything() -> None:
    world, _ = one_server(0.0)
    world.load(1000, 2.0)
    (replica,) = world.replicas.values()
    attempts = replica.attempts
    outcomes = [world.call() for _ in range(10)]
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert len(errors) >= 8
    assert replica.attempts == attempts + 10 - len(errors)
    error = errors[0]
    assert isinstance(error, Overloaded)
    assert (error.type, error.status, error.sent, error.attempts) == ("throttled", 0, False, 0)
    assert error.service == "users"
    assert "users: not sent" in str(error)
    world.settle()
    seen = stats(world)
    assert seen.failures == {
        "overloaded": seen.throttled,
        "service-failed": seen.calls - seen.throttled,
    }


def test_where_all_refuse_nobody_starts_over() -> None:
    world, _ = one_server(0.0)
    world.load(100, 2.0)
    before = stats(world).attempts, stats(world).calls, stats(world).throttled
    world.load(100, 10.0)
    attempts, calls, throttled = (
        after - had
        for after, had in zip(
            (stats(world).attempts, stats(world).calls, stats(world).throttled), before, strict=True
        )
    )
    assert attempts <= calls - throttled + 1, "an attempt a call"


def test_another_replica_with_room_is_still_asked() -> None:
    # Else the throttle would feed itself: fewer retries, fewer accepted, more throttled.
    world = World(seed=1)
    for replica in world.add("users", 3):
        replica.behaviour = Room(world, 100 / 3)
    world.load(150, 20.0)
    assert stats(world).throttled <= 0.02 * stats(world).calls


@pytest.mark.parametrize("status", [200, 404, 500, 504])
def test_what_is_no_refusal_throttles_nothing(status: int) -> None:
    world = World(seed=1)
    (replica,) = world.add("users")
    replica.behaviour = Answer(status=status)
    world.load(100, 5.0, retryable=False)
    assert stats(world).throttled == 0


def test_it_can_be_turned_off() -> None:
    world, _ = one_server(0.0, DispatchSettings(throttle=ThrottleSettings(k=0.0)))
    world.load(1000, 3.0)
    assert stats(world).throttled == 0
