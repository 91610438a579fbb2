"""Keeps replicas running: those of the plan, and those that come and go meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from balancer import Clock, Endpoint
from services.kit.settings import UpSettings

from ..probe import READY, STANDBY
from .kept import Kept, Launch
from .plan import Slot

# A process of a replica: service, replica's name, process id. When a replica is started again, the
# new process need not wait for what the dead one was asked.
_Process: TypeAlias = tuple[str, str, int]

# A change in the registry is seen within 200 ms; looking more often would show nothing sooner.
_LOOK_S = 0.1
# One that is added starts when those before it are ready; one that is not ready by then (seconds)
# keeps nobody waiting any more.
_TURN_S = 5.0


class NotReady(Exception):
    """A replica did not become ready.

    Attributes:
        slot: which.
    """

    def __init__(self, slot: Slot, why: str) -> None:
        """Say which and why."""
        super().__init__(f"{slot.replica} {why}")
        self.slot = slot


class Supervisor:
    """See the module.

    Attributes:
        kept: every slot that there is, by its replica's name.
    """

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
        processors: int,
    ) -> None:
        """Take everything that keeping replicas needs.

        Args:
            slots: the replicas that are to run from the start.
            clock: monotonic.
            settings: how patient to be.
            launch: starts a process.
            endpoints: all that are announced.
            state: asks a replica for its state.
            tell: told of deaths and restarts.
            processors: how many the machine has. A process that starts uses all of one for a
                second or so; of those that are added while others serve, no more start at a time
                than half of the processors can bear.
        """
        self._clock = clock
        self._settings = settings
        self._launch = launch
        self._endpoints = endpoints
        self._state = state
        self._tell = tell
        self._at_once = max(1, processors // 2)
        self.kept = {slot.replica: self._keep(slot) for slot in slots}
        self._all_ready: Deferred[None] = Deferred()
        self._all_ended: Deferred[bool] | None = None
        self._looking: IDelayedCall | None = None
        # Whether the registry is being asked, and which processes are: each at most once at a time.
        # One that hangs is given ten looks until its answer is given up, and would get a connection
        # from each of them.
        self._reading = False
        self._asking: set[_Process] = set()
        self._began = 0.0
        self._killed = False

    @property
    def stopping(self) -> bool:
        """Whether all are leaving."""
        return self._all_ended is not None

    def start(self) -> Deferred[None]:
        """Start all.

        Returns:
            Fires when all are ready, or fails with `NotReady`; when it is stopped before, neither.
            Also after a failure it must be stopped, since others may run.
        """
        self._began = self._clock.seconds()
        for kept in self.kept.values():
            kept.start()
            if kept.why:
                return self._all_ready
        self._look()
        return self._all_ready

    def add(self, slot: Slot) -> None:
        """Start one more; once all that were there from the start are ready.

        Args:
            slot: under a name that nobody has.
        """
        added = self.kept[slot.replica] = self._keep(slot)
        added.waits = True
        self._start_next()

    def remove(self, replica: str) -> Deferred[None]:
        """End one in good order, or by force when that takes too long, and forget it.

        Args:
            replica: its name; one that nobody has is harmless.

        Returns:
            Fires when no process of it is left.
        """
        kept = self.kept.get(replica)
        if kept is None:
            return succeed(None)
        return kept.remove().addCallback(lambda _: self._forget(kept))

    def stop(self) -> Deferred[bool]:
        """Have all leave in good order, and kill those that take too long.

        Returns:
            Fires when all have ended: whether all did so by themselves.
        """
        if self._all_ended is None:
            self._all_ended = Deferred()
            if self._looking is not None:
                self._looking.cancel()
            patience = self._clock.callLater(self._settings.stop_s, self.kill)
            for kept in self.kept.values():
                kept.retire()
                kept.signal("TERM")
            self._all_ended.addCallback(_cancelling, patience)
            self._check_ended()
        return self._all_ended

    def kill(self) -> None:
        """End all at once."""
        self._killed = self._killed or any(kept.process for kept in self.kept.values())
        for kept in self.kept.values():
            kept.signal("KILL")

    def _start_next(self) -> None:
        """Start those whose turn it is."""
        since = self._clock.seconds() - _TURN_S
        starting = sum(
            kept.process is not None and not kept.ready and kept.began > since
            for kept in self.kept.values()
        )
        waiting = [kept for kept in self.kept.values() if kept.waits]
        for kept in waiting[: max(0, self._at_once - starting)]:
            kept.start()

    def _keep(self, slot: Slot) -> Kept:
        return Kept(
            slot,
            clock=self._clock,
            settings=self._settings,
            launch=self._launch,
            tell=self._tell,
            on_end=self._check_ended,
            on_give_up=self._given_up,
        )

    def _forget(self, kept: Kept) -> None:
        if self.kept.pop(kept.slot.replica, None) is not None:
            self._tell(f"{kept.slot.replica} is removed")

    def _given_up(self, kept: Kept) -> None:
        if not self._all_ready.called:
            self._all_ready.errback(NotReady(kept.slot, kept.why))
        else:
            self._tell(f"{kept.slot.replica} {kept.why}; it stays down until it is removed")

    def _check_ended(self) -> None:
        ended = self._all_ended
        if ended is None or ended.called:
            return
        if all(kept.process is None for kept in self.kept.values()):
            ended.callback(not self._killed)

    def _look(self) -> None:
        """Ask those that are announced and not known to be ready."""
        self._looking = self._clock.callLater(_LOOK_S, self._look)
        self._start_next()
        if not self._waiting():
            return
        if not self._reading:
            self._reading = True
            # A registry that does not answer is asked again at the next look.
            self._endpoints().addBoth(self._read).addCallbacks(self._announced, lambda _: None)
        if not self._all_ready.called and self._overdue():
            kept = next(kept for kept in self.kept.values() if not kept.was_ready)
            kept.give_up(f"is not ready after {self._settings.ready_s:g} s")

    def _waiting(self) -> dict[_Process, Kept]:
        """Those that run and are not known to be ready, by service, name and process id."""
        return {
            (kept.slot.service, kept.slot.replica, kept.process.pid): kept
            for kept in self.kept.values()
            if kept.process is not None and not kept.ready
        }

    def _read(self, result: Any) -> Any:
        self._reading = False
        return result

    def _announced(self, endpoints: Sequence[Endpoint]) -> None:
        waiting = self._waiting()
        for endpoint in endpoints:
            process = (endpoint.service, endpoint.replica, endpoint.pid)
            found = waiting.get(process)
            if found is not None and process not in self._asking:
                self._asking.add(process)
                state = self._state(endpoint).addBoth(self._answered, process)
                state.addCallback(self._asked, found, endpoint.pid)

    def _answered(self, result: Any, process: _Process) -> Any:
        self._asking.discard(process)
        return result

    def _overdue(self) -> bool:
        late = self._clock.seconds() - self._began >= self._settings.ready_s
        return late and not all(kept.was_ready for kept in self.kept.values())

    def _asked(self, state: str, kept: Kept, pid: int) -> None:
        same = kept.process is not None and kept.process.pid == pid
        is_up = state == READY or (state == STANDBY and kept.slot.mark is not None)
        if not is_up or not same or kept.ready:
            return
        kept.seen_ready()
        if not self._all_ready.called and all(kept.ready for kept in self.kept.values()):
            self._all_ready.callback(None)


def _cancelling(result: bool, patience: Any) -> bool:
    if patience.active():
        patience.cancel()
    return result
