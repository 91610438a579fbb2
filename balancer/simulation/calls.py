"""Calls as their callers see them: made, and how they ended."""

from __future__ import annotations

from array import array
from collections import Counter

from twisted.python.failure import Failure

from ..dispatch import Dispatcher
from ..errors import CallError, ServiceFailed
from ..values import Reply, Request
from .scheduler import Scheduler


def settle(reply: Reply, _attempts: int) -> int:
    """Make of a final reply its status; an error is a failure of the call, the caller's too.

    Raises:
        ServiceFailed: the status is 400 or above.
    """
    if reply.status >= 400:
        raise ServiceFailed(f"status {reply.status}", status=reply.status)
    return reply.status


class Calls:
    """Makes calls and records how they end.

    Attributes:
        made: calls begun.
        ended: calls ended, those before ``since`` too.
        latencies_s: of the calls that began at ``since`` or later and have ended, in the order of
            their ends; failed ones too.
        good_s: of those, the good ones alone.
        kinds: how they failed, by the error's kind.
        good_by_second: good ends in each second since the beginning.
        made_by_second: calls begun in each second.
        kept_by_second: of those, the ones that were answered well, whenever that was.
    """

    def __init__(self, scheduler: Scheduler, since: float) -> None:
        """Record nothing yet.

        Args:
            scheduler: virtual time.
            since: calls that begin before this instant are the warm-up.
        """
        self.made = self.ended = 0
        self.latencies_s = array("d")
        self.good_s = array("d")
        self.kinds: Counter[str] = Counter()
        self.good_by_second: list[int] = []
        self.made_by_second: list[int] = []
        self.kept_by_second: list[int] = []
        self._scheduler = scheduler
        self._began = scheduler.now
        self._since = since

    @property
    def failed(self) -> int:
        """Measured calls that had no good answer."""
        return sum(self.kinds.values())

    @property
    def success(self) -> float:
        """The share of measured calls that had a good answer; 1.0 when there was no call."""
        return 1 - self.failed / max(1, len(self.latencies_s))

    def call(
        self,
        dispatcher: Dispatcher,
        request: Request,
        deadline_s: float,
        *,
        retryable: bool = True,
    ) -> None:
        """Make one call.

        Args:
            dispatcher: who makes it.
            request: what is asked.
            deadline_s: how long the caller waits, in seconds.
            retryable: whether doing it twice is harmless.
        """
        self.made += 1
        now = self._scheduler.now
        self._count(self.made_by_second, now)
        dispatcher.call(request, now + deadline_s, settle, retryable=retryable).addCallbacks(
            self._answered, self._failed, callbackArgs=(now,), errbackArgs=(now,)
        )

    def _answered(self, _status: int, began: float) -> None:
        self.ended += 1
        now = self._scheduler.now
        self._count(self.good_by_second, now)
        self._count(self.kept_by_second, began)
        if began >= self._since:
            self.latencies_s.append(now - began)
            self.good_s.append(now - began)

    def _failed(self, failure: Failure, began: float) -> None:
        self.ended += 1
        error = failure.value
        if not isinstance(error, CallError):
            # Not a way for a call to end, but a mistake: left to be logged, where a trial sees it.
            failure.raiseException()
        if began >= self._since:
            self.latencies_s.append(self._scheduler.now - began)
            self.kinds[error.kind] += 1

    def _count(self, by_second: list[int], instant: float) -> None:
        second = int(instant - self._began)
        while len(by_second) <= second:
            by_second.append(0)
        by_second[second] += 1
