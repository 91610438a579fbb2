"""Threads of one storage's own, and what becomes of work that nobody waits for any more.

The reactor's own ten threads are shared with name resolution and files, so that a slow disk there
would stop connecting. Under overload the queue is where time goes: work whose caller has given up
is therefore dropped when its turn comes, and the turn goes to somebody who still waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from ..problem import Problem

T = TypeVar("T")


def stopping() -> Problem:
    """The refusal of work that comes too late."""
    return Problem(503, "stopping", detail="This replica's storage is closed; try another.")


class Threads:
    """Runs blocking work beside the reactor.

    Attributes:
        refuses: whether it takes no work: not yet, or no more.
    """

    def __init__(
        self,
        *,
        name: str,
        size: int,
        seconds: Callable[[], float],
        deadline: Callable[[], float | None],
        reactor: IReactorFromThreads | None = None,
    ) -> None:
        """Prepare; no thread runs before `start`.

        Args:
            name: of the threads, for whoever looks at a stack dump.
            size: how many threads.
            seconds: the monotonic clock of the deadlines.
            deadline: the deadline of the call being handled, on that clock; None: there is none.
            reactor: takes the results back; the global one by default.
        """
        # All from the start: who begins a thread waits until it runs, and that must not be the
        # reactor with calls on its hands.
        self._pool = ThreadPool(minthreads=size, maxthreads=size, name=name)
        self._seconds = seconds
        self._deadline = deadline
        self._reactor = reactor
        self._started = False
        self.refuses = True
        self._running = 0
        self._idle: Deferred[None] | None = None

    def start(self) -> None:
        """Take work from now on."""
        if self._reactor is None:
            from twisted.internet import reactor  # noqa: PLC0415, TID251 - an edge: threads answer to it

            self._reactor = IReactorFromThreads(reactor)
        self._pool.start()
        self._started = True
        self.refuses = False

    def refuse(self) -> None:
        """Take no more work."""
        self.refuses = True

    async def stop(self) -> None:
        """Take no more work, and end when what was taken has ended; harmless the second time."""
        self.refuse()
        if not self._started:
            return
        self._started = False
        if self._running:
            # Joining busy threads would block the reactor until they are done.
            self._idle = Deferred()
            await self._idle
        self._pool.stop()

    def run(
        self, work: Callable[[], T], *, ended: Callable[[], None] = lambda: None
    ) -> Deferred[T]:
        """Run something in a thread, with the caller's context variables.

        Args:
            work: blocks as it likes.
            ended: called on the reactor when the thread is free again. That can be later than the
                result, whose waiting can be cancelled while the thread goes on.

        Returns:
            Fires with what the work returned or raised. Cancelled before the work has begun, it
            keeps the work from beginning.

        Raises:
            Problem: 503 stopping. (The result fails with 504 when there was no turn in time.)
        """
        if self.refuses or self._reactor is None:
            raise stopping()
        call_from_thread = self._reactor.callFromThread
        deadline = self._deadline()
        given_up = threading.Event()

        def begin() -> T:
            if given_up.is_set() or (deadline is not None and self._seconds() >= deadline):
                raise Problem(
                    504, "deadline-exceeded", detail="The deadline passed before storage had time."
                )
            return work()

        def end(succeeded: bool, value: Any) -> None:
            call_from_thread(settle, succeeded, value)

        def settle(succeeded: bool, value: Any) -> None:
            self._running -= 1
            # It was called already when its waiting was cancelled.
            if not result.called:
                (result.callback if succeeded else result.errback)(value)
            ended()
            if not self._running and self._idle is not None:
                self._idle.callback(None)

        result: Deferred[T] = Deferred(lambda _: given_up.set())
        self._running += 1
        self._pool.callInThreadWithCallback(end, copy_context().run, begin)
        return result
