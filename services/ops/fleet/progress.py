"""How a replacement goes, as events: told when something changes, not at every look."""

from __future__ import annotations

from collections.abc import Callable

from balancer import Clock

from .bake import Comparison, Figures
from .events import (
    BakeEvent,
    Event,
    PhaseEvent,
    ReplicaEvent,
    Side,
    StepEvent,
    WaitEvent,
)
from .execute import Done
from .journal import Journal
from .steps import Announce, Leave, Make, Note, Plan, Remove, Smoke
from .view import Seen, View


class Telling:
    """Makes events of what a `Replacement` reports; see `Progress`.

    Attributes:
        members: the new replicas' names, as far as there are any.
        saw_no_call: whether the new replicas were watched and got no call.
    """

    def __init__(self, clock: Clock, bake_s: float, emit: Callable[[Event], None]) -> None:
        """Begin to count the seconds.

        Args:
            clock: monotonic.
            bake_s: for how long the new replicas are watched.
            emit: called with each event.
        """
        self._clock = clock
        self._began = clock.seconds()
        self._bake_s = bake_s
        self._emit = emit
        self._phase: tuple[object, ...] = ()
        self._states: dict[str, tuple[str, str]] = {}
        self._baked: Comparison | None = None
        self._waiting = ""
        self._failed: set[tuple[str, str, str]] = set()
        self.members: tuple[str, ...] = ()
        self.saw_no_call = False

    def now(self) -> float:
        """Seconds since the command began."""
        return round(self._clock.seconds() - self._began, 3)

    def looked(self, view: View, journal: Journal | None, decided: Plan) -> None:
        """See `Progress`."""
        if journal is not None and not self._phase:
            self._decided(journal)  # somebody else's, which is gone on with
        if not view.stale:
            self._tell_states(view)
        comparison = view.comparison
        if comparison is not None and comparison != self._baked:
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
        self._baked = comparison

    def did(self, done: Done) -> None:
        """See `Progress`."""
        if isinstance(done.step, Note):
            self._decided(done.step.journal)
        else:
            self._waiting = ""
        named = _named(done)
        # What fails is tried again: it is told once.
        if named is None or (done.why and (*named, done.why) in self._failed):
            return
        if done.why:
            self._failed.add((*named, done.why))
        step, replica = named
        self._emit(StepEvent(at_s=self.now(), step=step, replica=replica, why=done.why))

    def waits(self, why: str) -> None:
        """See `Progress`."""
        if why != self._waiting and not (self._baked and why.startswith("watched")):
            self._waiting = why
            self._emit(WaitEvent(at_s=self.now(), why=why))

    def _decided(self, journal: Journal) -> None:
        self.members = journal.members
        phase = (journal.phase, journal.members, journal.share)
        if phase != self._phase:
            if journal.phase == "build" and not journal.before and not self._phase:
                count = len(journal.members)
                self.waits(f"none is announced: this is the first deployment, of {count} replicas")
            self._phase = phase
            self._emit(
                PhaseEvent(
                    at_s=self.now(),
                    phase=journal.phase,
                    version=journal.version,
                    members=journal.members,
                    why=journal.why,
                )
            )

    def _tell_states(self, view: View) -> None:
        for each in view.replicas:
            self._tell_state(each.replica, state_of(each), each)
        for name in self._states.keys() - {each.replica for each in view.replicas}:
            if self._states[name][0] != "gone":
                self._tell_state(name, "gone", Seen(replica=name))

    def _tell_state(self, name: str, state: str, seen: Seen) -> None:
        endpoint = seen.endpoint
        address = endpoint.address if endpoint else ""
        version = endpoint.version if endpoint else seen.built.version if seen.built else ""
        if state == "gone" or self._states.get(name) != (state, address):
            self._states[name] = (state, address)
            self._emit(
                ReplicaEvent(
                    at_s=self.now(),
                    replica=name,
                    role="new" if name in self.members else "old",
                    version=version,
                    address=address,
                    state=state,
                )
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


def side(figures: Figures) -> Side:
    """Figures as they are told."""
    mean_s = figures.seconds / figures.requests if figures.requests else 0.0
    return Side(
        requests=int(figures.requests),
        errors=int(figures.errors),
        mean_ms=round(1000 * mean_s, 3),
        p99_ms=round(1000 * figures.quantile_s(0.99), 3),
    )


def _named(done: Done) -> tuple[str, str] | None:
    match done.step:
        case Make():
            return "make", done.step.build.replica
        case Smoke():
            return "smoke", done.step.endpoint.replica
        case Announce():
            return "announce", done.step.endpoint.replica
        case Leave():
            return "leave", done.step.replica
        case Remove():
            return "remove", done.step.replica
    return None
