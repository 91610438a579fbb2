"""Waiting that can be ended."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from balancer import Clock


class Rest:
    """What a replacement does between two looks: one wait at a time."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock to wait by."""
        self._clock: Any = clock
        self._pause: Deferred[None] | None = None

    async def sleep(self, wait_s: float) -> None:
        """Wait so many seconds, or until `wake`."""
        self._pause = deferLater(self._clock, wait_s)
        # It is cancelled to have it end at once.
        await self._pause.addErrback(lambda _: None)
        self._pause = None

    def wake(self) -> None:
        """End the wait; harmless when there is none."""
        if self._pause is not None:
            self._pause.cancel()
