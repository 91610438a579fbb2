"""One worker as the master sees it."""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from ..backoff import RestartBackoff
from .messages import (
    Ask,
    CannotStart,
    Drain,
    Heard,
    Ready,
    Relieve,
    Told,
    TooLong,
    ToWorker,
    Wanted,
)
from .totals import Family

# Questions that may lie unread in the pipe: a frozen worker must not fill the master's memory.
_UNREAD = 2
# What a worker may need beyond its drain's time, to close its state (seconds).
_GRACE_S = 5.0


class State(Enum):
    """Where in its life a worker is; one that is leaving serves until another has its place."""

    STARTING = "starting"
    READY = "ready"
    SERVING = "serving"
    LEAVING = "leaving"
    DRAINING = "draining"


class Process(Protocol):
    """What is asked of a worker's process.

    Attributes:
        pid: its process id.
    """

    pid: int

    def tell(self, message: ToWorker) -> None:
        """Send a message; harmless when it has ended."""

    def terminate(self) -> None:
        """Have it end, at once where it only starts; harmless when it has ended."""

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""


class Seat:
    """A place of one worker: whoever dies on it is replaced.

    Attributes:
        member: who is on it now.
        backoff: how long a dead one is not replaced.
        restart: when it is.
    """

    def __init__(self, backoff: RestartBackoff) -> None:
        """Begin with nobody."""
        self.member: Member | None = None
        self.backoff = backoff
        self.restart: IDelayedCall | None = None


class Member:
    """See the module.

    Attributes:
        number: counts the workers of one master from 1.
        seat: where it belongs.
        began: when it was started, in monotonic seconds.
        heard: when it last said something.
        state: see `State`.
        process: its process.
        families: the counters that it last told.
        kill_at: when it must have left; None while it may stay.
        why: what it, or the master, says of its end; "" for nothing.
        dismissed: whether it was ended before it had served, so that its end says nothing.
    """

    def __init__(self, number: int, seat: Seat, now: float) -> None:
        """Begin without a process."""
        self.number = number
        self.seat = seat
        self.began = now
        self.heard = now
        self.state = State.STARTING
        self.process: Process | None = None
        self.families: list[Family] = []
        self.kill_at: float | None = None
        self.why = ""
        self.dismissed = False
        self._asked = 0
        self._answered = 0
        self._waiting: dict[int, Deferred[Told | None]] = {}

    @property
    def serves(self) -> bool:
        """Whether it takes calls."""
        return self.state in (State.SERVING, State.LEAVING)

    @property
    def has_spoken(self) -> bool:
        """Whether it ever answered."""
        return self._answered > 0 or self.state is not State.STARTING

    def take(self, message: Heard, now: float) -> None:
        """Note what it says."""
        self.heard = now
        if isinstance(message, Ready):
            if self.state is State.STARTING:
                self.state = State.READY
        elif isinstance(message, Relieve):
            if self.serves:
                self.state = State.LEAVING if message.waits else State.DRAINING
        elif isinstance(message, CannotStart):
            self.why = message.why
        elif isinstance(message, TooLong):
            # It answers in order. Were the question left open, nothing more would be asked, and a
            # worker that is well would be taken for a silent one.
            self._settle(self._answered + 1, None)
        else:
            self.families = message.families
            self._settle(message.number, message)

    def _settle(self, number: int, answer: Told | None) -> None:
        if number <= self._asked:  # what was never asked is no answer
            self._answered = max(self._answered, number)
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.callback(answer)

    def tell(self, message: ToWorker) -> None:
        """Send it something."""
        if self.process is not None:
            self.process.tell(message)

    def beat(self) -> None:
        """Ask for a sign of life, unless one is awaited."""
        if self._asked == self._answered:
            self.ask("samples")

    def ask(self, what: Wanted) -> Deferred[Told | None] | None:
        """Ask it to tell something.

        Args:
            what: see `Ask`.

        Returns:
            Fires with the answer, with None when that was too long, and never when it ends before;
            None when it already leaves questions unread.
        """
        if self._asked - self._answered >= _UNREAD:
            return None
        self._asked += 1
        answered = self._waiting[self._asked] = Deferred[Told | None]()
        self.tell(Ask(self._asked, what))
        return answered

    def drain(self, drain: Drain, now: float) -> None:
        """Have it finish what runs and leave.

        Args:
            drain: in what time.
            now: monotonic seconds.
        """
        self.state = State.DRAINING
        self.kill_at = min(self.kill_at or inf, now + drain.wait_s + _GRACE_S)
        self.tell(drain)

    def dismiss(self) -> None:
        """Have it end without more ado: it has served nobody.

        It has the port as soon as it exists, and would keep it open until it had come so far that
        it reads what it is told; callers would connect to nobody.
        """
        self.state = State.DRAINING
        self.dismissed = True
        if self.process is not None:
            self.process.terminate()
