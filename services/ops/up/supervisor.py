"""Keeps replicas running: starts them, sees each get ready, starts the dead again, stops all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport

from balancer import Clock, Endpoint
from services.kit.settings import UpSettings

from ..probe import READY
from .backoff import Backoff
from .plan import Slot

# A change in the registry is seen within 200 ms; looking more often would show nothing sooner.
_LOOK_S = 0.1
# A replica that died this often before it was ever ready will not get ready by trying again.
_HOPELESS_DEATHS = 4


class NotReady(Exception):
    """A replica did not become ready.

    Attributes:
        slot: which.
    """

    def __init__(self, slot: Slot, why: str) -> None:
        """Say which and why."""
        super().__init__(f"{slot.replica} {why}")
        self.slot = slot


class Launch(Protocol):
    """Starts the process of a slot."""

    def __call__(self, slot: Slot, ended: Callable[[str], None]) -> IProcessTransport:
        """Start it; ``ended`` is called with how it ended."""


class _Kept:
    """One slot, and the process that fills it at the moment."""

    __slots__ = ("backoff", "began", "deaths", "process", "ready", "restart", "slot", "was_ready")

    def __init__(self, slot: Slot, backoff: Backoff) -> None:
        self.slot = slot
        self.backoff = backoff
        self.began = 0.0
        self.deaths = 0
        self.process: IProcessTransport | None = None
        self.ready = False
        self.restart: IDelayedCall | None = None
        self.was_ready = False


class Supervisor:
    """See the module."""

    def __init__(
        self,
        slots: Sequence[Slot],
        *,
        clock: Clock,
        settings: UpSettings,
        launch: Launch,
        endpoints: Callable[[], Deferred[list[Endpoint]]],
        state: Callable[[Endpoint], Deferred[str]],
        tell: Callable[[str], None],
    ) -> None:
        """Take everything that keeping replicas needs.

        Args:
            slots: the replicas that are to run.
            clock: monotonic.
            settings: how patient to be.
            launch: starts a process.
            endpoints: all that are announced.
            state: asks a replica for its state.
            tell: told of deaths and restarts.
        """
        self._clock = clock
        self._settings = settings
        self._launch = launch
        self._endpoints = endpoints
        self._state = state
        self._tell = tell
        self._kept = [
            _Kept(slot, Backoff(settings.restart_first_s, settings.restart_most_s))
            for slot in slots
        ]
        self._all_ready: Deferred[None] = Deferred()
        self._all_ended: Deferred[bool] | None = None
        self._looking: IDelayedCall | None = None
        self._began = 0.0
        self._killed = False

    def start(self) -> Deferred[None]:
        """Start all.

        Returns:
            Fires when all are ready, or fails with `NotReady`; when it is stopped before, neither.
            Also after a failure it must be stopped, since others may run.
        """
        self._began = self._clock.seconds()
        for kept in self._kept:
            try:
                self._start(kept)
            except OSError as error:
                self._give_up(kept, _not_started(error))
                return self._all_ready
        self._look()
        return self._all_ready

    def stop(self) -> Deferred[bool]:
        """Have all leave in good order, and kill those that take too long.

        Returns:
            Fires when all have ended: whether all did so by themselves.
        """
        if self._all_ended is None:
            self._all_ended = Deferred()
            if self._looking is not None:
                self._looking.cancel()
            for kept in self._kept:
                if kept.restart is not None:
                    kept.restart.cancel()
                    kept.restart = None
            patience = self._clock.callLater(self._settings.stop_s, self.kill)
            self._signal("TERM")
            self._all_ended.addCallback(_cancelling, patience)
            self._check_ended()
        return self._all_ended

    def kill(self) -> None:
        """End all at once."""
        self._killed = self._killed or any(kept.process is not None for kept in self._kept)
        self._signal("KILL")

    def _signal(self, name: str) -> None:
        for kept in self._kept:
            if kept.process is not None:
                with suppress(ProcessExitedAlready):
                    kept.process.signalProcess(name)

    def _start(self, kept: _Kept) -> None:
        kept.restart = None
        kept.ready = False
        kept.began = self._clock.seconds()
        kept.process = self._launch(kept.slot, lambda how: self._ended(kept, how))

    def _start_again(self, kept: _Kept) -> None:
        try:
            self._start(kept)
        except OSError as error:
            # The machine is short of processes, descriptors or room, maybe for a moment only.
            self._died(kept, _not_started(error))

    def _ended(self, kept: _Kept, how: str) -> None:
        assert kept.process is not None
        kept.process = None
        kept.ready = False
        if self._all_ended is not None:
            self._check_ended()
            return
        self._died(kept, how)

    def _died(self, kept: _Kept, how: str) -> None:
        kept.deaths += 1
        if not kept.was_ready and kept.deaths >= _HOPELESS_DEATHS:
            self._give_up(kept, f"{how}, {kept.deaths} times, and never became ready")
            return
        wait_s = kept.backoff.after(self._clock.seconds() - kept.began)
        self._tell(f"{kept.slot.replica} {how}; it is started again in {wait_s:g} s")
        kept.restart = self._clock.callLater(wait_s, self._start_again, kept)

    def _check_ended(self) -> None:
        ended = self._all_ended
        if ended is None or ended.called:
            return
        if all(kept.process is None for kept in self._kept):
            ended.callback(not self._killed)

    def _look(self) -> None:
        """Ask those that are announced and not known to be ready."""
        self._looking = self._clock.callLater(_LOOK_S, self._look)
        if not self._waiting():
            return
        # A registry that does not answer is asked again at the next look.
        self._endpoints().addCallbacks(self._announced, lambda _: None)
        if not self._all_ready.called and self._overdue():
            kept = next(kept for kept in self._kept if not kept.was_ready)
            self._give_up(kept, f"is not ready after {self._settings.ready_s:g} s")

    def _waiting(self) -> dict[tuple[Slot, int], _Kept]:
        """Those that run and are not known to be ready, by slot and process id."""
        return {
            (kept.slot, kept.process.pid): kept
            for kept in self._kept
            if kept.process is not None and not kept.ready
        }

    def _announced(self, endpoints: Sequence[Endpoint]) -> None:
        waiting = self._waiting()
        for endpoint in endpoints:
            found = waiting.get((Slot(endpoint.service, endpoint.replica), endpoint.pid))
            if found is not None:
                self._state(endpoint).addCallback(self._asked, found, endpoint.pid)

    def _overdue(self) -> bool:
        late = self._clock.seconds() - self._began >= self._settings.ready_s
        return late and not all(kept.was_ready for kept in self._kept)

    def _asked(self, state: str, kept: _Kept, pid: int) -> None:
        same = kept.process is not None and kept.process.pid == pid
        if state != READY or not same or kept.ready:
            return
        kept.ready = True
        if kept.was_ready:
            self._tell(f"{kept.slot.replica} is ready again (process {pid})")
        kept.was_ready = True
        if not self._all_ready.called and all(kept.ready for kept in self._kept):
            self._all_ready.callback(None)

    def _give_up(self, kept: _Kept, why: str) -> None:
        if not self._all_ready.called:
            self._all_ready.errback(NotReady(kept.slot, why))


def _not_started(error: OSError) -> str:
    return f"cannot be started ({error})"


def _cancelling(result: bool, patience: Any) -> bool:
    if patience.active():
        patience.cancel()
    return result
