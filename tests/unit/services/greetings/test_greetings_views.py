from __future__ import annotations

from collections.abc import Mapping

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, LoopingCall

from services.greetings.views import FLUSH_INTERVAL_S, ViewCounts


class Store:
    def __init__(self) -> None:
        self.batches: list[dict[str, int]] = []
        self.failing = False
        self.wait: Deferred[None] | None = None

    async def __call__(self, views: Mapping[str, int]) -> None:
        if self.wait is not None:
            await self.wait
        if self.failing:
            raise OSError("disk full")
        self.batches.append(dict(views))

    @property
    def total(self) -> int:
        return sum(sum(batch.values()) for batch in self.batches)


async def test_views_of_a_second_are_one_batch() -> None:
    store, clock = Store(), Clock()
    views = ViewCounts(store)
    loop = LoopingCall(lambda: Deferred.fromCoroutine(views.flush()))
    loop.clock = clock
    loop.start(FLUSH_INTERVAL_S, now=False)
    for _ in range(3000):
        views.count("hot")
    views.count("cold")
    assert store.batches == []
    clock.advance(FLUSH_INTERVAL_S)
    assert store.batches == [{"hot": 3000, "cold": 1}]
    clock.advance(FLUSH_INTERVAL_S)
    assert len(store.batches) == 1
    views.count("cold")
    clock.advance(FLUSH_INTERVAL_S)
    assert store.batches[1:] == [{"cold": 1}]
    loop.stop()


async def test_a_failed_flush_keeps_its_views_for_the_next() -> None:
    store = Store()
    views = ViewCounts(store)
    views.count("a")
    store.failing = True
    with pytest.raises(OSError, match="disk full"):
        await views.flush()
    views.count("a")
    views.count("b")
    store.failing = False
    await views.flush()
    assert store.batches == [{"a": 2, "b": 1}]
    await views.flush()
    assert len(store.batches) == 1


@pytest.mark.parametrize("failing", [False, True])
async def test_views_counted_during_a_flush_are_not_lost(*, failing: bool) -> None:
    store = Store()
    views = ViewCounts(store)
    views.count("a")
    store.wait, store.failing = Deferred(), failing
    flushing = Deferred.fromCoroutine(views.flush())
    views.count("a")
    store.wait.callback(None)
    if failing:
        with pytest.raises(OSError, match="disk full"):
            await flushing
    else:
        await flushing
    store.wait, store.failing = None, False
    await views.flush()
    assert store.total == 2


async def test_a_flush_that_is_cancelled_keeps_its_views() -> None:
    store = Store()
    views = ViewCounts(store)
    views.count("a")
    store.wait = Deferred()
    flushing = Deferred.fromCoroutine(views.flush())
    flushing.addErrback(lambda _: None)
    flushing.cancel()
    store.wait = None
    await views.flush()
    assert store.batches == [{"a": 1}]
