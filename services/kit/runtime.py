"""What a service is given at its start."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from balancer import Clock
from clients import Mesh


class Repeated:
    """Work that runs at intervals, never twice at once."""

    def __init__(
        self,
        clock: Clock,
        interval_s: float,
        function: Callable[[], Coroutine[Any, Any, None]],
        log: Logger,
    ) -> None:
        """Begin; the first run is one interval from now."""
        self._function = function
        self._log = log
        self._running: Deferred[None] | None = None
        self._loop = LoopingCall(self._run)
        self._loop.clock = cast("IReactorTime", clock)
        self._loop.start(interval_s, now=False)

    def _run(self) -> Deferred[None]:
        done = ensureDeferred(self._function())

        def failed(failure: Any) -> None:
            # The kind only: a message may hold data of persons.
            self._log.error(
                "repeated work {name} failed with {kind}; it will be tried again",
                name=self._function.__qualname__,
                kind=failure.type.__qualname__,
            )

        self._running = done.addErrback(failed)
        return self._running

    def stop(self) -> Deferred[None]:
        """Run no more; harmless the second time.

        Returns:
            Fires when the run that may be under way has ended.
        """
        if self._loop.running:
            self._loop.stop()
        ended: Deferred[None] = Deferred()
        if self._running is None:
            ended.callback(None)
        else:
            self._running.addCallback(lambda _: ended.callback(None))
        return ended


class Kit:
    """What a service works with; see the attributes.

    Attributes:
        clock: timers, and monotonic ``seconds()``.
        wall: now, in UTC.
        rng: for jitter; not for secrets.
        mesh: for calls to other services.
        storage_folder: where the embedded stores of this mesh are.
        sample_data: whether an empty store is filled with the sample data.
        log: the service's logger.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        wall: Callable[[], datetime],
        rng: random.Random,
        mesh: Mesh,
        storage_folder: Path,
        sample_data: bool,
        log: Logger,
    ) -> None:
        """See the class for the arguments."""
        self.clock = clock
        self.wall = wall
        self.rng = rng
        self.mesh = mesh
        self.storage_folder = storage_folder
        self.sample_data = sample_data
        self.log = log

    def every(
        self, interval_s: float, function: Callable[[], Coroutine[Any, Any, None]]
    ) -> Repeated:
        """Run something at intervals.

        Args:
            interval_s: from one start to the next, in seconds; a run that takes longer delays the
                next.
            function: called with nothing; a failure is logged and the next run comes all the same.

        Returns:
            A handle to stop it with.
        """
        return Repeated(self.clock, interval_s, function, self.log)
