"""How a replacement goes, as events: told when something changes, not at every look."""

from __future__ import annotations

from collections.abc import Callable

from balancer import Clock

from ...output import counted
from ..execute import Done
from ..journal import Journal
from ..plan.steps import Announce, Leave, Make, Note, Remove, Smoke, Step
from ..plan.view import Seen, View
from .events import Event
from .narrator import Narrator


class Telling(Narrator):
    """Tells of what a `Replacement` reports; see `Progress`."""

    def __init__(self, clock: Clock, bake_s: float, emit: Callable[[Event], None]) -> None:
        """See `Narrator`."""
        super().__init__(clock, bake_s, emit)
        self._failed: set[tuple[str, str, str]] = set()

    def found(self, journal: Journal | None) -> None:
        """See `Progress`."""
        self.phase = "" if journal is None else journal.phase

    def looked(self, view: View, journal: Journal | None) -> None:
        """See `Progress`."""
        if journal is not None and not self.has_told_decision:
            self._decided(journal)  # somebody else's, which is gone on with
        if not view.stale:
            for each in view.replicas:
                self._tell(each)
            self.tell_gone({each.replica for each in view.replicas})
        self.tell_comparison(view.comparison)

    def begins(self, steps: tuple[Step, ...]) -> None:
        """See `Progress`."""
        named = (_named(step) for step in steps)
        self.under_way = {" ".join(each) for each in named if each is not None}

    def did(self, done: Done) -> None:
        """See `Progress`."""
        if isinstance(done.step, Note):
            self._decided(done.step.journal)
        else:
            self.goes_on()
        named = _named(done.step)
        if named is None:
            return
        self.under_way.discard(" ".join(named))
        # What fails is tried again: it is told once.
        if done.why and (*named, done.why) in self._failed:
            return
        if done.why:
            self._failed.add((*named, done.why))
        self.tell_step(*named, done.why)

    def _decided(self, journal: Journal) -> None:
        self.members = journal.members
        if journal.phase == "build" and not journal.before and not self.has_told_decision:
            replicas = counted(len(journal.members), "replica")
            self.notices(f"none is announced: this is the first deployment, of {replicas}")
        parts = (journal.members, journal.share)
        self.tell_decision(journal.phase, journal.version, journal.why, *parts)

    def _tell(self, seen: Seen) -> None:
        endpoint = seen.endpoint
        self.tell_replica(
            seen.replica,
            state_of(seen),
            version=endpoint.version if endpoint else seen.built.version if seen.built else "",
            address=endpoint.address if endpoint else "",
        )


def state_of(seen: Seen) -> str:
    """A replica's state in one word; see `ReplicaEvent`."""
    if seen.listed:
        return seen.state
    if seen.built is None:
        return "gone" if seen.endpoint is not None else "building"
    if seen.ended:
        return seen.built.state
    return "building" if seen.endpoint is None else "unlisted"


def _named(step: Step) -> tuple[str, str] | None:
    match step:
        case Make():
            return "make", step.build.replica
        case Smoke():
            return "smoke", step.endpoint.replica
        case Announce():
            return "announce", step.endpoint.replica
        case Leave():
            return "leave", step.replica
        case Remove():
            return "remove", step.replica
    return None
