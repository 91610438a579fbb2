"""One slot, kept filled: its process is started, started again when it dies, and ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport

from balancer import Clock
from services.kit.backoff import RestartBackoff
from services.kit.settings import UpSettings

from ..faults import Failed
from .plan import Slot

# A replica that died this often before it was ever ready will not get ready by trying again.
_HOPELESS_DEATHS = 4


class Launch(Protocol):
    """Starts the process of a slot."""

    def __call__(self, slot: Slot, ended: Callable[[str], None]) -> IProcessTransport:
        """Start it; ``ended`` is called with how it ended.

        Raises:
            OSError: the machine refuses it.
            Failed: its code is not there.
        """


class Kept:
    """See the module.

    Attributes:
        slot: which.
        process: what fills it at the moment.
        ready: whether that process has been seen ready, or standing by where it is to.
        was_ready: whether any process of it has.
        why: why it was given up; "" when it was not.
        leaves: whether it is being removed.
        began: when that process was started, in monotonic seconds.
        waits: whether it is to be started when it is its turn.
    """

    def __init__(
        self,
        slot: Slot,
        *,
        clock: Clock,
        settings: UpSettings,
        launch: Launch,
        tell: Callable[[str], None],
        on_end: Callable[[], None],
        on_give_up: Callable[[Kept], None],
    ) -> None:
        """Begin without a process.

        Args:
            slot: which.
            clock: monotonic.
            settings: how patient to be.
            launch: starts a process.
            tell: told of deaths and restarts.
            on_end: called when a process has ended.
            on_give_up: called with the slot when it is given up.
        """
        self.slot = slot
        self.process: IProcessTransport | None = None
        self.ready = False
        self.was_ready = False
        self.why = ""
        self.leaves = False
        self.began = 0.0
        self.waits = False
        self._clock = clock
        self._patience_s = settings.stop_s
        self._launch = launch
        self._tell = tell
        self._on_end = on_end
        self._on_give_up = on_give_up
        self._backoff = RestartBackoff(settings.restart_first_s, settings.restart_most_s)
        # Whoever had one built on standby waits for it, and decides what comes of a failure.
        self._tries = _HOPELESS_DEATHS if slot.mark is None else 1
        self._deaths = 0
        self._restart: IDelayedCall | None = None
        self._retired = False
        self._running = False
        self._gone: list[Deferred[None]] = []

    @property
    def state(self) -> Literal["running", "ended", "failed"]:
        """How it is; "running" also while it waits to be started, or started again."""
        if self.process is not None or self._restart is not None or self.waits:
            return "running"
        return "failed" if self.why else "ended"

    def start(self) -> None:
        """Start it for the first time; it is given up when that cannot be done."""
        self.waits = False
        try:
            self._start()
        except (OSError, Failed) as error:
            self.give_up(f"cannot be started ({error})")

    def retire(self) -> None:
        """Do not start it again; harmless the second time."""
        self._retired = True
        self.waits = False
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None

    def remove(self) -> Deferred[None]:
        """End it in good order, or by force when that takes too long.

        Returns:
            Fires when no process of it is left.
        """
        self.retire()
        self.leaves = True
        if self.process is None:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._gone.append(gone)
        if len(self._gone) == 1:
            patience = self._clock.callLater(self._patience_s, self._lose_patience)
            gone.addCallback(lambda _: patience.cancel() if patience.active() else None)
            self.signal("TERM")
        return gone

    def signal(self, name: str) -> None:
        """Send the process a signal, if there is one."""
        if self.process is not None:
            with suppress(ProcessExitedAlready):
                self.process.signalProcess(name)

    def seen_ready(self) -> None:
        """Its process has been seen ready."""
        self.ready = True
        if self.was_ready and self.process is not None:
            self._tell(f"{self.slot.replica} is ready again (process {self.process.pid})")
        self.was_ready = True

    def give_up(self, why: str) -> None:
        """Do not try again to get it ready."""
        self.why = why
        self._on_give_up(self)

    def _start(self) -> None:
        self._restart = None
        self.ready = False
        self.began = self._clock.seconds()
        self._running = True
        process = self._launch(self.slot, self._ended)
        if self._running:  # it may have ended before it was told of
            self.process = process

    def _start_again(self) -> None:
        try:
            self._start()
        except (OSError, Failed) as error:
            # The machine is short of processes, descriptors or room, maybe for a moment only.
            self._died(f"cannot be started ({error})")

    def _ended(self, how: str) -> None:
        self._running = False
        self.process = None
        self.ready = False
        gone, self._gone = self._gone, []
        for waiting in gone:
            waiting.callback(None)
        if not self._retired:
            self._died(how)
        self._on_end()

    def _died(self, how: str) -> None:
        self._deaths += 1
        if not self.was_ready and self._deaths >= self._tries:
            times = f", {self._deaths} times," if self._deaths > 1 else ""
            self.give_up(f"{how}{times} and never became ready")
            return
        wait_s = self._backoff.after(self._clock.seconds() - self.began)
        self._tell(f"{self.slot.replica} {how}; it is started again in {wait_s:g} s")
        self._restart = self._clock.callLater(wait_s, self._start_again)

    def _lose_patience(self) -> None:
        self._tell(f"{self.slot.replica} has not left after {self._patience_s:g} s; it is killed")
        self.signal("KILL")
