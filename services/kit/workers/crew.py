"""Keeps so many workers: starts, replaces and retires them. No processes here, and no pipes.

A worker serves when it is told to, not when it could: those of a reload begin together when all of
them are ready, and until then the old ones are not touched. So a configuration or a release that
does not start costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from balancer import Clock

from ..backoff import RestartBackoff
from .member import Member, Process, Seat, State
from .messages import Contend, Drain, Heard, Relieve, Serve, ToWorker
from .settings import WorkersSettings

# How often a worker is asked for a sign of life (seconds), or four times in `hang_s`.
_BEAT_S = 1.0
# When the next reload comes, old workers of the one before close connections that are not used so
# soon (seconds): only what runs keeps a third set of them.
_HURRY_S = 2.0

_log = Logger()


class NotStarted(Exception):
    """A worker ended before it could serve; the message says which, and why."""


class Launch(Protocol):
    """Starts a worker's process."""

    def __call__(
        self, number: int, heard: Callable[[Heard], None], ended: Callable[[str, bool], None]
    ) -> Process:
        """Start it.

        Args:
            number: the worker's.
            heard: told of each message, and of each that was too long.
            ended: told of its end: how, in words, and whether it left in good order.

        Raises:
            OSError: the machine has no room for it.
        """


class Crew:
    """See the module.

    Attributes:
        restarts: workers that died and were replaced.
    """

    def __init__(
        self,
        size: int,
        settings: WorkersSettings,
        *,
        clock: Clock,
        launch: Launch,
        on_end: Callable[[Member], None],
        on_change: Callable[[], None],
    ) -> None:
        """Begin with nobody.

        Args:
            size: how many there are to be.
            settings: how patient to be.
            clock: monotonic.
            launch: starts a process.
            on_end: told of each worker that has ended.
            on_change: told when there may be more or fewer that serve.
        """
        self.restarts = 0
        self.contends = False
        self._size = size
        self._settings = settings
        self._clock = clock
        self._launch = launch
        self._on_end = on_end
        self._on_change = on_change
        self._number = 0
        self._seats: list[Seat] = []
        self._coming: list[Seat] = []
        self._members: set[Member] = set()
        self._started: Deferred[None] | None = None
        self._reloaded: list[Deferred[bool]] = []
        self._patience: IDelayedCall | None = None
        self._again = False
        self._left: Deferred[bool] | None = None
        self._clean = True
        self._beating: IDelayedCall | None = None
        self._beat_due = 0.0

    def __iter__(self) -> Iterator[Member]:
        """All workers, old and new."""
        return iter(sorted(self._members, key=lambda member: member.number))

    def count(self, state: State) -> int:
        """How many are in a state."""
        return sum(member.state is state for member in self._members)

    def start(self) -> Deferred[None]:
        """Start all.

        Returns:
            Fires when all could serve; fails with `NotStarted` when one of them never will.
        """
        started: Deferred[None] = Deferred()
        self._started = started
        self._beat()
        self._seats = self._set()
        return started

    def serve(self, *, contend: bool) -> None:
        """Have those that are ready serve.

        Args:
            contend: whether to take scheduled work as well.
        """
        self.contends = contend
        for seat in self._seats:
            self._serve(seat)

    def contend(self) -> None:
        """Have all take scheduled work, now and later."""
        self.contends = True
        for member in self:
            # Others hear of it when they are told to serve; until then they have no work to take.
            if member.state is State.SERVING:
                member.tell(Contend())

    def tell(self, message: ToWorker) -> None:
        """Tell all of them something."""
        for member in self:
            member.tell(message)

    def reload(self, settings: WorkersSettings) -> Deferred[bool]:
        """Replace all by new ones, as soon as all of those could serve.

        A second reload during one is done when that is over: what is new may have changed since.

        Args:
            settings: in force from now on.

        Returns:
            Fires at the end: whether there are new ones. When there are not, the log says why.
        """
        self._settings = settings
        done: Deferred[bool] = Deferred()
        self._reloaded.append(done)
        if len(self._reloaded) > 1:
            self._again = True
        else:
            self._begin_reload()
        return done

    def _begin_reload(self) -> None:
        for member in self:
            if member.state is State.DRAINING:
                self._retire(member, _HURRY_S)
        self._patience = self._clock.callLater(self._settings.ready_s, self._lose_patience)
        self._coming = self._set()

    def leave(self, wait_s: float) -> Deferred[bool]:
        """Have all finish what runs, and leave.

        Args:
            wait_s: when they cut what is left, in seconds; those that take much longer are killed.

        Returns:
            Fires when all have ended: whether all did so in good order.
        """
        left: Deferred[bool] = Deferred()
        self._left = left
        self._end_reload(done=False)
        for seat in [*self._seats, *self._coming]:
            _give_up_restart(seat)
        now = self._clock.seconds()
        for member in self:
            if member.state is State.STARTING:
                member.dismiss()
            member.drain(Drain(wait_s), now)
        self._check_left()
        return left

    def _set(self) -> list[Seat]:
        settings = self._settings
        seats = [
            Seat(RestartBackoff(settings.restart_first_s, settings.restart_most_s))
            for _ in range(self._size)
        ]
        for seat in seats:
            self._start(seat)
        return seats

    def _start(self, seat: Seat) -> None:
        seat.restart = None
        self._number += 1
        member = seat.member = Member(self._number, seat, self._clock.seconds())
        self._members.add(member)
        try:
            member.process = self._launch(
                member.number,
                lambda message: self._heard(member, message),
                lambda how, clean: self._ended(member, how, clean=clean),
            )
        except OSError as error:
            # The machine is short of processes, descriptors or room, maybe for a moment only. Not
            # in our caller's stack: it may be about to start others.
            how = f"cannot be started ({error.strerror})"
            self._clock.callLater(0, lambda: self._ended(member, how, clean=False))

    def _heard(self, member: Member, message: Heard) -> None:
        before = member.state
        member.take(message, self._clock.seconds())
        if member.state is before:
            return
        if isinstance(message, Relieve):
            self._relieve(member)
        elif member.seat in self._coming:
            if all(_is_ready(seat) for seat in self._coming):
                self._switch()
        elif self._started is not None:
            if all(_is_ready(seat) for seat in self._seats):
                started, self._started = self._started, None
                started.callback(None)
        else:
            self._serve(member.seat)
            for other in self:
                if other.seat is member.seat and other.state is State.LEAVING:
                    self._retire(other, self._settings.retire_s)

    def _relieve(self, member: Member) -> None:
        """Have another take the place of one that was told to leave."""
        waits = member.state is State.LEAVING
        _log.info(
            "worker {worker} was told to leave, and {does}",
            worker=member.number,
            does="serves until another has its place" if waits else "does so",
        )
        if self._left is None and member.seat in self._seats and member.seat.member is member:
            self._start(member.seat)
        if not waits:
            # It takes no connection any more, whoever has its place.
            self._retire(member, self._settings.retire_s)
            self._on_change()

    def _serve(self, seat: Seat) -> None:
        member = seat.member
        if member is not None and member.state is State.READY:
            member.state = State.SERVING
            member.tell(Serve(contend=self.contends))
            _log.info(
                "worker {worker} takes calls, process {pid}",
                worker=member.number,
                pid=member.process.pid if member.process else 0,
            )
            self._on_change()

    def _switch(self) -> None:
        """New ones begin, old ones leave."""
        old, self._seats, self._coming = self._seats, self._coming, []
        for seat in self._seats:
            self._serve(seat)
        for seat in old:
            _give_up_restart(seat)
        for member in self:
            if member.seat in old and member.state is not State.DRAINING:
                self._retire(member, self._settings.retire_s)
        self._on_change()
        self._end_reload(done=True)

    def _retire(self, member: Member, idle_s: float) -> None:
        """Have one leave whose place others take: no caller need know."""
        drain = Drain(self._settings.retire_s, idle_s, leaving=False)
        member.drain(drain, self._clock.seconds())

    def _end_reload(self, *, done: bool) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._again and self._left is None:
            self._again = False
            self._begin_reload()
            return
        reloaded, self._reloaded = self._reloaded, []
        for each in reloaded:
            each.callback(done)

    def _lose_patience(self) -> None:
        self._patience = None
        late = [s.member.number for s in self._coming if s.member and not _is_ready(s)]
        self._abandon(f"worker {late[0]} is not ready after {self._settings.ready_s:g} s")

    def _abandon(self, why: str) -> None:
        """Keep the old ones after all."""
        _log.error("the reload failed, and the workers stay as they are: {why}", why=why)
        coming, self._coming = self._coming, []
        for seat in coming:
            if seat.member is not None:
                self._retire(seat.member, 0.0)
        self._end_reload(done=False)

    def _ended(self, member: Member, how: str, *, clean: bool) -> None:
        served = member.serves
        draining = member.state is State.DRAINING
        self._members.discard(member)
        member.process = None
        if member.seat.member is member:
            member.seat.member = None
        self._on_end(member)
        how = member.why or how
        if draining:
            if not clean and not member.dismissed:
                self._clean = self._clean and self._left is None
                _log.warn("worker {worker} {how}", worker=member.number, how=how)
            self._check_left()
        elif member.seat in self._coming:
            self._abandon(f"worker {member.number} {how}")
        elif self._started is not None:
            started, self._started = self._started, None
            started.errback(NotStarted(f"worker {member.number} {how}"))
        elif member.seat in self._seats:
            if member.seat.member is None and member.seat.restart is None:
                self._replace(member, how)
            else:
                _log.error(
                    "worker {worker} {how}, before another had its place",
                    worker=member.number,
                    how=how,
                )
            if served:
                self._on_change()

    def _replace(self, member: Member, how: str) -> None:
        self.restarts += 1
        wait_s = member.seat.backoff.after(self._clock.seconds() - member.began)
        _log.error(
            "worker {worker} {how}; another is started in {wait:g} s",
            worker=member.number,
            how=how,
            wait=wait_s,
        )
        member.seat.restart = self._clock.callLater(wait_s, self._start, member.seat)

    def _check_left(self) -> None:
        if self._left is not None and not self._left.called and not self._members:
            if self._beating is not None:
                self._beating.cancel()
            self._left.callback(self._clean)

    def _beat(self) -> None:
        """Ask all for a sign of life, and kill those that gave none for too long."""
        now = self._clock.seconds()
        beat_s = min(_BEAT_S, self._settings.hang_s / 4)
        # Whoever was stopped or starved itself knows nothing of the silence of others.
        held_up = now - self._beat_due > beat_s
        self._beat_due = now + beat_s
        self._beating = self._clock.callLater(beat_s, self._beat)
        for member in self:
            if held_up:
                member.heard = max(member.heard, now - beat_s)
            why = self._overdue(member, now)
            if why and member.process is not None:
                member.why = member.why or f"{why}, and was killed"
                member.process.kill()
            else:
                member.beat()

    def _overdue(self, member: Member, now: float) -> str:
        settings = self._settings
        allowed_s = settings.hang_s if member.has_spoken else settings.ready_s
        if now - member.heard > allowed_s:
            return f"was silent for {allowed_s:g} s"
        if member.kill_at is not None and now > member.kill_at:
            return "did not leave in time"
        return ""


def _is_ready(seat: Seat) -> bool:
    return seat.member is not None and seat.member.state is State.READY


def _give_up_restart(seat: Seat) -> None:
    if seat.restart is not None:
        seat.restart.cancel()
        seat.restart = None
