"""A replacement as a command: shown, stopped by ^C, ended with a status that CI can trust."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import click
from twisted.internet.defer import CancelledError, Deferred

from ..faults import say
from ..output import write_json
from ..runner import on_signals
from .drivers.interface import DriverError
from .ended import Ended
from .plan.steps import Outcome
from .telling.events import EndedEvent
from .telling.showing import mute

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


class Task(Protocol):
    """One replacement under way."""

    def run(self) -> Coroutine[Any, Any, Ended]:
        """Do it, to its end."""

    def stop(self) -> None:
        """Have it undone, or finished where there is no way back."""


class Teller(Protocol):
    """What was told of it so far.

    Attributes:
        members: the new replicas' names, as far as there are any.
        saw_no_call: whether the new replicas were watched and got no call.
    """

    members: tuple[str, ...]
    saw_no_call: bool

    def now(self) -> float:
        """Seconds since the command began."""

    def interrupted(self) -> str:
        """Tell what follows from a ^C, and return it."""


class Attended:
    """See the module."""

    def __init__(
        self,
        service: str,
        version: str,
        *,
        task: Task,
        telling: Teller,
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
        self._tailing: Deferred[list[str]] | None = None

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
        try:
            self._stop_showing()
            await self._tell(ended, status)
        except OSError:  # whoever read it has enough; the other stream may still have a reader
            mute()
            self._tell_end(ended)
        return status

    async def _tell(self, ended: Ended, status: int) -> None:
        if ended.outcome is Outcome.ROLLED_BACK:
            await self._tell_log(ended.why)
        if ended.outcome is Outcome.REPLACED and self._telling.saw_no_call:
            say("no call came while the new version was watched: nothing is known of how it does")
        if self._as_json:
            write_json(
                EndedEvent(
                    at_s=self._telling.now(),
                    outcome=ended.outcome.value,
                    why=ended.why,
                    version=self._version,
                    members=self._telling.members,
                    status=status,
                )
            )
        self._tell_end(ended)

    def _end(self, result: Any) -> None:
        if not self._ended.called:
            self._ended.callback(result)  # a failure is raised where it is awaited

    def _signalled(self) -> None:
        if self._ended.called:
            if self._tailing is not None:
                self._tailing.cancel()
        elif self._asked_to_stop:
            self._ended.callback(Ended(Outcome.UNFINISHED, "it was interrupted twice"))
        else:
            self._asked_to_stop = True
            told = self._telling.interrupted()
            if self._as_json:  # whoever pressed it may not see the events
                say(told)
            self._task.stop()

    async def _tell_log(self, why: str) -> None:
        """Show the end of the log of the replica that failed, if it was one."""
        for name in self._telling.members:
            if why.startswith(f"{name} "):
                try:
                    self._tailing = self._tail(name)
                    lines = await self._tailing
                except (DriverError, OSError, CancelledError):
                    return  # how it ended is worth more than the log
                if lines:
                    say(f"the end of the log of {name}:")
                for line in lines[-_TAIL_LINES:]:
                    click.echo(f"    {line}", err=True)

    def _tell_end(self, ended: Ended) -> None:
        service, version = self._service, self._version
        count = len(self._telling.members)
        replicas = "1 replica" if count == 1 else f"{count} replicas"
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
        text = f"{text}: {ended.why}" if ended.why else f"{text} ({self._telling.now():.1f} s)"
        if self._as_json or STATUSES[ended.outcome]:
            say(text)
        else:
            click.echo(text)
