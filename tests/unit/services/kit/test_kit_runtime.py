from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from services.kit import Repeated


async def test_stopping_twice_is_stopping() -> None:
    clock, runs = Clock(), [Deferred[None]()]

    async def work() -> None:
        await runs[-1]

    repeated = Repeated(clock, 1.0, work, Logger())
    clock.advance(1.0)
    stops = [repeated.stop(), repeated.stop()]
    assert [stop.called for stop in stops] == [False, False]
    runs[-1].callback(None)
    assert [stop.called for stop in stops] == [True, True]
    assert repeated.stop().called
    assert clock.getDelayedCalls() == []
