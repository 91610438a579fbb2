"""How a rollout goes, as the events of every replacement (`services.ops.fleet.telling.events`)."""

from __future__ import annotations

from ..telling.narrator import Narrator
from .decide import Apply, Decision, Seen, SmokePods
from .observed import Pod


class RollingTelling(Narrator):
    """Tells of what a `Rolling` reports; see `RollingProgress`."""

    def looked(self, seen: Seen, decided: Decision) -> None:
        """See `RollingProgress`."""
        self.members = tuple(pod.name for pod in seen.new())
        for pod in seen.rollout.pods:
            self.tell_replica(pod.name, _state(pod), version=pod.version, address=pod.address)
        self.tell_gone({pod.name for pod in seen.rollout.pods})
        if isinstance(decided.step, Apply):
            undo = decided.step.replacing.phase == "undo"
            version = decided.step.replacing.wanted.version
            self.tell_decision("undo" if undo else "build", version, decided.step.replacing.why)
        elif seen.replacing is not None and seen.replacing.phase == "roll" and seen.well_since:
            self.tell_decision("bake", seen.replacing.wanted.version, "")
        if isinstance(decided.step, SmokePods):
            for name in decided.step.pods:
                self.tell_step("smoke", name)
        self.tell_comparison(seen.comparison)
        self.waits(decided.waiting)


def _state(pod: Pod) -> str:
    if pod.leaving:
        return "draining"
    if pod.ready:
        return "ready"
    return "starting" if pod.address else "building"
