"""How a rollout goes, as the events of every replacement (`services.ops.fleet.telling.events`)."""

from __future__ import annotations

from collections.abc import Callable

from balancer import Clock

from ..telling.events import Event
from ..telling.narrator import Narrator
from .change import Replacing
from .decide import Decision, Seen
from .observed import Pod

# As `PhaseEvent` has it, by what the annotation says.
_PHASES = {"roll": "build", "undo": "undo"}


class RollingTelling(Narrator):
    """Tells of what a `Rolling` reports; see `RollingProgress`."""

    def __init__(self, clock: Clock, bake_s: float, emit: Callable[[Event], None]) -> None:
        """See `Narrator`."""
        super().__init__(clock, bake_s, emit)
        self._smoked: set[str] = set()

    def found(self, replacing: Replacing | None) -> None:
        """See `RollingProgress`."""
        self.phase = "" if replacing is None else _PHASES[replacing.phase]

    def looked(self, seen: Seen, decided: Decision) -> None:
        """See `RollingProgress`."""
        self.members = tuple(pod.name for pod in seen.new())
        for pod in seen.rollout.pods:
            self.tell_replica(pod.name, _state(pod), version=pod.version, address=pod.address)
        self.tell_gone({pod.name for pod in seen.rollout.pods})
        if seen.replacing is not None:
            phase = _PHASES[seen.replacing.phase]
            if phase == "build" and seen.well_since is not None:
                phase = "bake"
            self.tell_decision(phase, seen.replacing.wanted.version, seen.replacing.why)
        for name in sorted(seen.smoked.keys() - self._smoked):
            self._smoked.add(name)
            self.tell_step("smoke", name)
        self.tell_comparison(seen.comparison)
        self.waits(decided.waiting)


def _state(pod: Pod) -> str:
    if pod.leaving:
        return "draining"
    if pod.ready:
        return "ready"
    return "starting" if pod.address else "building"
