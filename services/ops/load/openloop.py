"""Makes the calls of a load, each as near to its instant as the process can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from balancer import Clock

from .schedule import Schedule
from .tally import Tally

# Twenty calls a tick at 20,000 a second: bursts far smaller than what a socket's buffer holds.
TICK_S = 0.001
# After a stall the calls that are due go out in parts, so that answers are read in between.
_BURST = 200


class OpenLoop:
    """See the module.

    Attributes:
        begun: how many calls have begun.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        schedule: Schedule,
        start: Callable[[], Deferred[Any]],
        tally: Tally,
        each_tick: Callable[[], None],
    ) -> None:
        """Take everything that a load needs.

        Args:
            clock: monotonic.
            schedule: when calls are due.
            start: begins one call.
            tally: told of each call's end.
            each_tick: called before the calls of each tick.
        """
        self._clock = clock
        self._schedule = schedule
        self._start = start
        self._tally = tally
        self._each_tick = each_tick
        self._began = 0.0
        self._total = schedule.total
        self._outstanding = 0
        self._done: Deferred[float] = Deferred()
        self.begun = 0

    def run(self) -> Deferred[float]:
        """Begin.

        Returns:
            Fires when all calls have ended, with the seconds from the beginning to there.
        """
        self._began = self._clock.seconds()
        self._tick()
        return self._done

    def end_early(self) -> None:
        """Begin no more calls; those that run may end."""
        self._total = self.begun
        self._check_done()

    def _tick(self) -> None:
        if self.begun >= self._total:
            return
        self._each_tick()
        due = min(self._schedule.due(self._clock.seconds() - self._began), self._total)
        for _ in range(min(due - self.begun, _BURST)):
            self._begin_one()
        if self.begun >= self._total:
            self._check_done()
            return
        next_at = self._began + self._schedule.instant(self.begun)
        wait_s = next_at - self._clock.seconds()
        # Behind, go on as soon as what has come in is read; ahead, do not wake for nothing.
        self._clock.callLater(0 if wait_s <= 0 else max(wait_s, TICK_S), self._tick)

    def _begin_one(self) -> None:
        scheduled = self._began + self._schedule.instant(self.begun)
        self.begun += 1
        self._outstanding += 1
        self._start().addCallbacks(
            self._answered, self._failed, callbackArgs=(scheduled,), errbackArgs=(scheduled,)
        )

    def _answered(self, _answer: object, scheduled: float) -> None:
        self._tally.answered(self._clock.seconds() - scheduled)
        self._outstanding -= 1
        if not self._outstanding:
            self._check_done()

    def _failed(self, failure: Failure, scheduled: float) -> None:
        assert failure.value is not None
        self._tally.ended(failure.value, self._clock.seconds() - scheduled)
        self._outstanding -= 1
        if not self._outstanding:
            self._check_done()

    def _check_done(self) -> None:
        if not self._outstanding and self.begun >= self._total and not self._done.called:
            self._done.callback(self._clock.seconds() - self._began)
