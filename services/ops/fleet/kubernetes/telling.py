"""How a rollout goes, as the events of every replacement (`services.ops.fleet.events`)."""

from __future__ import annotations

from collections.abc import Callable

from balancer import Clock

from ..bake import Comparison
from ..events import BakeEvent, Event, PhaseEvent, ReplicaEvent, StepEvent, WaitEvent
from ..progress import side
from .decide import Apply, Decision, Seen, SmokePods
from .observed import Pod


class RollingTelling:
    """Makes events of what a `Rolling` reports; see `RollingProgress`.

    Attributes:
        members: the new pods' names, as far as there are any.
        saw_no_call: whether the new pods were watched and got no call.
    """

    def __init__(self, clock: Clock, bake_s: float, emit: Callable[[Event], None]) -> None:
        """Begin to count the seconds.

        Args:
            clock: monotonic.
            bake_s: for how long the new pods are watched.
            emit: called with each event.
        """
        self._clock = clock
        self._began = clock.seconds()
        self._bake_s = bake_s
        self._emit = emit
        self._phase = ""
        self._waiting = ""
        self._states: dict[str, str] = {}
        self._baked: Comparison | None = None
        self.members: tuple[str, ...] = ()
        self.saw_no_call = False

    def now(self) -> float:
        """Seconds since the command began."""
        return round(self._clock.seconds() - self._began, 3)

    def looked(self, seen: Seen, decided: Decision) -> None:
        """See `RollingProgress`."""
        self.members = tuple(pod.name for pod in seen.new())
        self._tell_pods(seen)
        if isinstance(decided.step, Apply):
            undo = decided.step.replacing.phase == "undo"
            version = decided.step.replacing.wanted.version
            self._tell_phase("undo" if undo else "build", version, decided.step.replacing.why)
        elif seen.replacing is not None and seen.replacing.phase == "roll" and seen.well_since:
            self._tell_phase("bake", seen.replacing.wanted.version)
        if isinstance(decided.step, SmokePods):
            for pod in decided.step.pods:
                self._emit(StepEvent(at_s=self.now(), step="smoke", replica=pod))
        comparison = seen.comparison
        if comparison is not None and comparison != self._baked:
            self._baked = comparison
            self.saw_no_call = not comparison.new.requests
            self._emit(
                BakeEvent(
                    at_s=self.now(),
                    seconds=round(comparison.seconds, 3),
                    of_s=self._bake_s,
                    new=side(comparison.new),
                    old=side(comparison.old),
                )
            )
        self.waits(decided.waiting)

    def waits(self, why: str) -> None:
        """See `RollingProgress`."""
        if why and why != self._waiting and not why.startswith("watched"):
            self._waiting = why
            self._emit(WaitEvent(at_s=self.now(), why=why))

    def _tell_phase(self, phase: str, version: str, why: str = "") -> None:
        if phase != self._phase:
            self._phase = phase
            self._emit(
                PhaseEvent(
                    at_s=self.now(), phase=phase, version=version, members=self.members, why=why
                )
            )

    def _tell_pods(self, seen: Seen) -> None:
        states = {pod.name: _state(pod) for pod in seen.rollout.pods}
        pods = {pod.name: pod for pod in seen.rollout.pods}
        for name in sorted(self._states.keys() | states.keys()):
            state = states.get(name, "gone")
            if self._states.get(name) == state:
                continue
            self._states[name] = state
            pod = pods.get(name, Pod(name=name))
            self._emit(
                ReplicaEvent(
                    at_s=self.now(),
                    replica=name,
                    role="new" if name in self.members else "old",
                    version=pod.version,
                    address=pod.address,
                    state=state,
                )
            )


def _state(pod: Pod) -> str:
    if pod.leaving:
        return "draining"
    if pod.ready:
        return "ready"
    return "starting" if pod.address else "building"
