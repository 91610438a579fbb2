"""Every order in which the attempts of a hedged call may begin and end, tried out one by one.

What random histories seldom bring together stands side by side here: both attempts end before, with
and after each other, well and badly, and the call is given up in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from balancer import Request
from balancer.policy import Fleet, Replica
from balancer.testing import Answer, Behaviour, Breaks, FakeReplica, Outcome, Silent, World
from balancer.transport.sweep import TICK_S

LATE_S = 1.02 * TICK_S
DEADLINE_S = 0.3
# The first attempt's share of the deadline is over after 0.12 s.
HEDGE_S = 0.03

# At once, before the hedge goes out, beside it, and after the first one's share is over.
ENDS_S = (0.0, 0.02, 0.06, 0.15)
BEHAVIOURS: tuple[Behaviour, ...] = (
    *(Answer(after_s=after_s) for after_s in ENDS_S),
    *(Answer(status=500, after_s=after_s) for after_s in ENDS_S),
    *(Breaks(after_s=after_s) for after_s in ENDS_S),
    Answer.nack(after_s=0.06),
    Silent(),
    Silent(connected=False),
)
# What comes after two that have failed.
LATER = (Answer(after_s=0.02), Answer(status=500, after_s=0.06), Breaks(after_s=0.0), Silent())
KINDS = {"answered", "deadline", "reply-lost", "service-failed", "CancelledError"}


def begin(
    count: int, script: tuple[Behaviour, ...]
) -> tuple[World, Outcome, list[tuple[FakeReplica, int]]]:
    """Begin a call whose attempts come to what the script says, the last of it over again.

    Returns:
        The world, the call, and who is asked while how many others are; filled in as it happens.
    """
    world = World()
    asked: list[tuple[FakeReplica, int]] = []

    def behave(self: FakeReplica) -> Behaviour:
        asked.append((self, sum(replica.in_flight for replica in world.replicas.values())))
        return script[min(len(asked), len(script)) - 1]

    for replica in world.add("users", count):
        replica.behaviour = behave
    for number, record in enumerate(world.fleet().replicas.values()):
        record.attempts = 10 * number  # so that one's numbers are never another's
    delay = world.dispatcher._services["users"].hedge_delay("fetch")
    for _ in range(100):
        delay.add(HEDGE_S)
    request = Request("users", b"GET", b"/v1/thing", hedge=0.95, operation="fetch")
    return world, world.call(deadline_s=DEADLINE_S, request=request), asked


def assert_exact(world: World) -> None:
    """Each attempt is where it is believed to be."""
    for address, record in world.fleet().replicas.items():
        assert record.in_flight == world.replicas[address].in_flight
    assert world.in_flight() <= 2


@pytest.fixture
def wrongs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What went wrong unseen: an error that the sweep caught, an outcome under another's number."""
    seen: list[str] = []

    def watch(name: str) -> None:
        original = getattr(Fleet, name)

        def tell(
            fleet: Fleet, replica: Replica, now: float, number: int, *rest: Any, **more: Any
        ) -> None:
            if number != replica.attempts:
                seen.append(f"{name} of attempt {number}, which is not the one that {replica} had")
            original(fleet, replica, now, number, *rest, **more)

        monkeypatch.setattr(Fleet, name, tell)

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            seen.append(event["log_failure"].getTraceback())

    for name in ("succeeded", "failed", "refused", "abandoned"):
        watch(name)
    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


@pytest.mark.parametrize("cancelled_s", [None, 0.05, 0.13])
@pytest.mark.parametrize("count", [2, 3])
def test_in_every_order_each_attempt_is_counted_where_it_is(
    count: int, cancelled_s: float | None, wrongs: list[str]
) -> None:
    hedges = 0
    for script in product(BEHAVIOURS, BEHAVIOURS, LATER):
        world, outcome, asked = begin(count, script)
        clock = world.clock
        began = clock.seconds()
        assert_exact(world)
        while clock.calls:
            world.run(max(0.0, clock.calls[0].getTime() - clock.seconds()))
            if cancelled_s is not None and clock.seconds() - began >= cancelled_s:
                outcome.deferred.cancel()
            assert_exact(world)
        assert not wrongs, script
        assert world.in_flight() == 0, script
        assert outcome.ended_at is not None, script
        assert outcome.ended_at - began <= DEADLINE_S + LATE_S
        assert outcome.kind in KINDS
        # Nobody is asked again before all were asked, and have failed.
        assert len({replica for replica, _ in asked[:count]}) == min(len(asked), count), script
        assert not any(others for _, others in asked[count : count + 1]), script
        (stats,) = world.dispatcher.stats()
        assert stats.attempts == len(asked) <= 4
        sent = [each.attempt for replica in world.replicas.values() for each in replica.received]
        assert len(set(sent)) == len(sent)
        hedges += stats.hedges
    assert hedges > 200
