"""A replacement as a command: shown, stopped by ^C, ended with a status that CI can trust."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from ..faults import say
from ..output import counted, write_json
from ..runner import on_signals
from .drivers.interface import DriverError
from .ended import Ended
from .plan.steps import Outcome
from .telling.events import EndedEvent
from .telling.narrator import Narrator
from .telling.showing import attempt

STATUSES = {
    Outcome.REPLACED: 0,
    Outcome.HELD: 0,
    Outcome.ABORTED: 0,
    Outcome.ROLLED_BACK: 1,
    Outcome.REFUSED: 1,
    Outcome.UNFINISHED: 3,
    Outcome.BUSY: 4,
    Outcome.TOO_LATE: 5,
}
_TAIL_LINES = 12
# How long the lock may take to go back to a registry when nobody wants to wait any more (seconds).
_LEAVE_S = 2.0
_TWICE = Ended(Outcome.UNFINISHED, "it was interrupted twice")


class Task(Protocol):
    """One replacement under way."""

    def run(self) -> Coroutine[Any, Any, Ended]:
        """Do it, to its end."""

    def stop(self) -> None:
        """Have it undone, or finished where there is no way back."""

    def leave(self, why: str) -> Coroutine[Any, Any, None]:
        """Leave it as it is, for the next run, which is told why."""


class Attended:
    """See the module."""

    def __init__(
        self,
        service: str,
        version: str,
        *,
        task: Task,
        telling: Narrator,
        stop_showing: Callable[[], None],
        tail: Callable[[str], Deferred[list[str]]],
        kept: str,
        as_json: bool,
    ) -> None:
        """Take what is done and who tells of it.

        Args:
            service: whose replicas.
            version: the new one; "" when an earlier command is undone.
            task: does it.
            telling: tells of it.
            stop_showing: ends the display.
            tail: the last lines of a replica's log; fails with `DriverError`.
            kept: where an unfinished one is kept, for people.
            as_json: whether the last line is an event.
        """
        self._service = service
        self._version = version
        self._task = task
        self._telling = telling
        self._stop_showing = stop_showing
        self._tail = tail
        self._kept = kept
        self._as_json = as_json
        self._asked_to_stop = False
        self._ended: Deferred[Ended] = Deferred()
        # What is still waited for when it has ended: a log, or the registry.
        self._last_wait: Deferred[Any] | None = None

    async def run(self, reactor: Any) -> int:
        """Do it.

        Returns:
            The exit status.
        """
        on_signals(reactor, self._signalled)
        running = Deferred.fromCoroutine(self._task.run())
        # Whichever comes first; a replacement that is left behind is kept for the next run.
        running.addBoth(self._end)
        ended = await self._ended
        status = STATUSES[ended.outcome]
        attempt(self._stop_showing, sys.stderr)
        if self._as_json:  # first: a program waits for nothing else
            attempt(lambda: write_json(self._event(ended, status)), sys.stdout)
        if ended is _TWICE:
            leaving = Deferred.fromCoroutine(self._task.leave(ended.why))
            await self._wait(leaving.addTimeout(_LEAVE_S, reactor))
        if ended.outcome is Outcome.ROLLED_BACK and ended.failed:
            await self._tell_log(ended.failed)
        if ended.outcome is Outcome.REPLACED and self._telling.saw_no_call:
            _tell("no call came while the new version was watched: nothing is known of how it does")
        text = self._in_words(ended)
        if self._as_json or status:
            _tell(text)
        else:
            attempt(lambda: click.echo(text), sys.stdout)
        return status

    def _event(self, ended: Ended, status: int) -> EndedEvent:
        return EndedEvent(
            at_s=self._telling.now(),
            outcome=ended.outcome.value,
            why=ended.why,
            version=self._version,
            members=self._telling.members,
            status=status,
        )

    def _end(self, result: Any) -> None:
        if not self._ended.called:
            self._ended.callback(result)  # a failure is raised where it is awaited

    def _signalled(self) -> None:
        if self._ended.called:
            if self._last_wait is not None:
                self._last_wait.cancel()
        elif self._asked_to_stop:
            self._ended.callback(_TWICE)
        else:
            self._asked_to_stop = True
            try:
                self._tell_interrupted()
            finally:  # after it, for that may be the end; and whatever becomes of the telling
                self._task.stop()

    def _tell_interrupted(self) -> None:
        told = self._telling.interrupted()
        self._telling.notices(told)
        if self._as_json:  # whoever pressed it may not see the events
            _tell(told)

    async def _wait(self, answer: Deferred[Any]) -> Any:
        """Wait for something that is worth less than how it ended; None when it does not come."""
        self._last_wait = answer
        try:
            return await answer
        except (DriverError, OSError, CancelledError, TookTooLong):
            return None

    async def _tell_log(self, name: str) -> None:
        """Show the end of the log of the replica that failed."""
        lines = await self._wait(self._tail(name))
        if lines:
            _tell(f"the end of the log of {name}:")
        for line in (lines or [])[-_TAIL_LINES:]:
            attempt(partial(click.echo, f"    {line}", err=True), sys.stderr)

    def _in_words(self, ended: Ended) -> str:
        service, version = self._service, self._version
        replicas = counted(len(self._telling.members), "replica")
        match ended.outcome:
            case Outcome.REPLACED:
                text = f"{service} is replaced: {replicas} of version {version}"
            case Outcome.HELD:
                text = f"{service} is held: {replicas} of version {version} beside the old ones"
            case Outcome.ABORTED:
                text = f"{service} is as it was"
            case Outcome.TOO_LATE:
                text = f"{service} is replaced all the same: {replicas} of the new version"
            case Outcome.ROLLED_BACK:
                text = f"{service} is rolled back, the old replicas are all there"
            case Outcome.REFUSED:
                text = f"{service} is not replaced"
            case Outcome.UNFINISHED:
                text = f"{service} is unfinished ({self._kept}); run it again to go on"
            case Outcome.BUSY:
                text = f"{service} is not replaced"
        return f"{text}: {ended.why}" if ended.why else f"{text} ({self._telling.now():.1f} s)"


def _tell(text: str) -> None:
    attempt(lambda: say(text), sys.stderr)
