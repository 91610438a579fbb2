from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock

from services.greetings.cards import KEEP_S, Cards, Opened
from services.greetings.stored import StoredCard
from services.kit import Problem

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def stored(deliver_at: datetime | None = None, cancelled_at: datetime | None = None) -> StoredCard:
    return StoredCard(
        id="g_aaaaaaaaaaaaaaaa",
        message="Hi",
        sender_name="Ada",
        sku="BDAY-00017",
        site="greetwell",
        deliver_at=deliver_at,
        cancelled_at=cancelled_at,
        created_at=NOW,
    )


class World:
    """A store that counts its reads, and two clocks."""

    def __init__(self, capacity: int = 10) -> None:
        self.clock = Clock()
        self.now = NOW
        self.stored: dict[str, StoredCard] = {"t": stored()}
        self.reads: list[str] = []
        self.held: list[Deferred[None]] = []
        self.hold = False
        self.cards = Cards(
            self.read, seconds=self.clock.seconds, wall=lambda: self.now, capacity=capacity
        )

    async def read(self, token: str) -> StoredCard | None:
        self.reads.append(token)
        if self.hold:
            self.held.append(Deferred())
            await self.held[-1]
        return self.stored.get(token)

    def open(self, token: str = "t") -> Deferred[Opened]:
        return Deferred.fromCoroutine(self.cards.open(token))


async def refused(opening: Deferred[Opened]) -> int:
    with pytest.raises(Problem) as caught:
        await opening
    return caught.value.status


async def test_a_hot_card_is_read_once_in_its_time() -> None:
    world = World()
    first = await world.open()
    for _ in range(1000):
        assert await world.open() is first
    assert world.reads == ["t"]
    world.clock.advance(KEEP_S)
    assert await world.open() == first
    assert world.reads == ["t", "t"]


async def test_a_card_that_becomes_hot_at_once_is_read_once() -> None:
    world = World()
    world.hold = True
    openings = [world.open() for _ in range(100)]
    assert world.reads == ["t"]
    world.held[0].callback(None)
    assert len(set(map(id, await gatherResults(openings)))) >= 1
    assert world.reads == ["t"]


async def test_a_failed_read_is_nobody_elses_failure() -> None:
    world = World()
    world.hold = True
    first, second = world.open(), world.open()
    world.hold = False
    world.held[0].errback(OSError("first"))
    with pytest.raises(OSError, match="first"):
        await first
    assert (await second).card.message == "Hi"


async def test_a_caller_that_leaves_does_not_disturb_the_others() -> None:
    world = World()
    world.hold = True
    reading, leaving, staying = world.open(), world.open(), world.open()
    leaving.cancel()
    with pytest.raises(CancelledError):
        await leaving
    world.hold = False
    reading.cancel()
    with pytest.raises(CancelledError):
        await reading
    assert (await staying).card.message == "Hi"


async def test_what_is_not_there_or_cancelled_or_early_does_not_open() -> None:
    world = World()
    world.stored = {"early": stored(NOW + HOUR), "cancelled": stored(NOW + HOUR, NOW)}
    assert await refused(world.open("none")) == 404
    assert await refused(world.open("cancelled")) == 404
    assert await refused(world.open("early")) == 409


async def test_only_what_cannot_change_is_kept() -> None:
    world = World()
    world.stored["t"] = stored(NOW + HOUR)
    assert await refused(world.open()) == 409
    world.stored["t"] = stored(NOW + HOUR, NOW)
    assert await refused(world.open()) == 404
    world.stored["t"] = stored(NOW + HOUR)
    world.now = NOW + HOUR
    assert (await world.open()).card.sent_at == NOW + HOUR


async def test_the_card_that_was_not_opened_for_longest_makes_room() -> None:
    world = World(capacity=2)
    world.stored = {name: stored() for name in "abc"}
    for token in "abac":
        await world.open(token)
    world.reads.clear()
    for token in "acb":
        await world.open(token)
    assert world.reads == ["b"]
