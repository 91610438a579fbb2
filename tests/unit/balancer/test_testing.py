"""The shipped doubles: what they promise to those who test with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from balancer import CallError, ConfigError, Endpoint, Reply
from balancer.discovery import Registry
from balancer.testing import (
    Answer,
    Breaks,
    FakeChannel,
    FakeRegistry,
    FakeReplica,
    Refuses,
    Silent,
    World,
)
from tests.deferreds import now


class Attempt:
    """An attempt that remembers how it ended."""

    def __init__(self) -> None:
        self.carrier: Any = None
        self.ends: list[object] = []

    def payload(self) -> bytes:
        return b"GET / HTTP/1.1\r\nMesh-Attempt: 2\r\nMesh-Deadline: 70\r\n\r\n"

    def replied(self, reply: Reply) -> None:
        assert self.carrier is None
        self.ends.append(reply.status)

    def failed(self, error: CallError) -> None:
        assert self.carrier is None
        self.ends.append((error.kind, error.sent))


@pytest.fixture
def world() -> World:
    return World(seed=3)


@pytest.fixture
def replica(world: World) -> FakeReplica:
    (replica,) = world.add("users")
    return replica


def test_time_passes_from_event_to_event(world: World) -> None:
    seen: list[float] = []
    began = world.clock.seconds()

    def note() -> None:
        seen.append(round(world.clock.seconds() - began, 9))
        if len(seen) < 3:
            world.clock.callLater(0.1, note)

    world.clock.callLater(0.1, note)
    world.run(1.0)
    assert seen == [0.1, 0.2, 0.3]
    assert world.clock.seconds() == began + 1.0


def test_a_request_is_kept_as_it_was_sent(replica: FakeReplica) -> None:
    FakeChannel(replica).start(Attempt())
    (received,) = replica.received
    assert (received.at, received.attempt, received.deadline_ms) == (1000.0, 2, 70)


def test_a_frozen_replica_answers_when_it_thaws(world: World, replica: FakeReplica) -> None:
    channel = FakeChannel(replica)
    early, late = Attempt(), Attempt()
    channel.start(early)
    replica.freeze()
    world.run(1.0)
    channel.start(late)
    replica.thaw()
    assert (early.ends, late.ends) == ([200], [])
    world.run(0.1)
    assert late.ends == [200]


def test_what_is_abandoned_while_frozen_is_not_answered(replica: FakeReplica, world: World) -> None:
    channel = FakeChannel(replica)
    first, second = Attempt(), Attempt()
    channel.start(first)
    channel.start(second)
    replica.freeze()
    world.run(1.0)
    channel.abandon(first)
    replica.thaw()
    assert (first.ends, second.ends) == ([], [200])
    assert (replica.in_flight, replica.abandoned) == (0, 1)


def test_a_killed_replica_loses_what_it_had_and_refuses_the_rest(
    world: World, replica: FakeReplica
) -> None:
    channel = FakeChannel(replica)
    had, later = Attempt(), Attempt()
    channel.start(had)
    replica.kill()
    channel.start(later)
    world.settle()
    assert had.ends == [("reply-lost", True)]
    assert later.ends == [("connect", False)]


@pytest.mark.parametrize(
    ("behaviour", "ends"),
    [
        (Answer(status=404, after_s=0), [404]),
        (Refuses(after_s=0), [("connect", False)]),
        (Breaks(after_s=0), [("reply-lost", True)]),
    ],
)
def test_no_time_at_all_is_within_the_start(
    replica: FakeReplica, behaviour: Answer, ends: list[object]
) -> None:
    replica.behaviour = behaviour
    attempt = Attempt()
    FakeChannel(replica).start(attempt)
    assert attempt.ends == ends


def test_what_would_be_a_leak_on_sockets_is_an_error(replica: FakeReplica) -> None:
    replica.behaviour = Silent()
    channel = FakeChannel(replica)
    attempt = Attempt()
    channel.start(attempt)
    with pytest.raises(AssertionError, match="another channel carries"):
        channel.start(attempt)
    channel.abandon(attempt)
    with pytest.raises(AssertionError, match="not here"):
        channel.abandon(attempt)
    channel.close()
    with pytest.raises(AssertionError, match="closed channel"):
        channel.start(attempt)


def test_a_registry_tells_and_forgets() -> None:
    registry = FakeRegistry()
    checked: Registry = registry
    told: list[int] = []

    def listen(endpoints: Sequence[Endpoint]) -> None:
        told.append(len(endpoints))

    end = checked.watch("users", listen)
    lease = checked.announce(Endpoint(service="users", replica="users-1", address="a:1"))
    lease.withdraw()
    lease.withdraw()
    end()
    end()
    registry.announce(Endpoint(service="users", replica="users-1", address="a:1"))
    assert told == [0, 1, 0]
    assert len(now(checked.endpoints())) == 1
    assert checked.age_s() == 0
    checked.close()


def test_an_address_that_is_none_opens_nothing(world: World) -> None:
    with pytest.raises(ConfigError, match="not host:port"):
        world._open_channel("nonsense")


def test_load_is_even_and_counted(world: World, replica: FakeReplica) -> None:
    outcomes = world.load(200, 0.5)
    world.settle()
    assert len(outcomes) == 100
    assert world.kinds == {"answered": 100}
    at = [received.at for received in replica.received]
    assert all(abs(later - earlier - 0.005) < 1e-9 for earlier, later in pairwise(at))
