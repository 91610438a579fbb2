"""What every replacement tells, whoever does it: an event when something changes, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from balancer import Clock

from ..bake.comparison import Comparison, Figures
from .events import (
    BakeEvent,
    Event,
    NoticeEvent,
    PhaseEvent,
    ReplicaEvent,
    Side,
    StepEvent,
    WaitEvent,
)

# What is decided when it is interrupted, by the phase that it is in.
_INTERRUPTED = {
    "": "it is undone, if anything was begun",
    "drain": "the old replicas have begun to leave, so it is finished",
    "undo": "it is being undone already",
}
_UNDONE = "it is undone"


class Narrator:
    """Makes events, and leaves out those that would say what was said.

    Attributes:
        members: the new replicas' names, as far as there are any.
        saw_no_call: whether the new replicas were watched and got no call.
        phase: the one that is decided, told or not; "" while none is known.
        under_way: the steps that have begun and not ended, such as "make users-2.k3f-1".
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
        self._decision: tuple[object, ...] = ()
        self._states: dict[str, tuple[str, str]] = {}
        self._compared: Comparison | None = None
        # The wait that was told last, and the one of now.
        self._told = self._waiting = ""
        self.members: tuple[str, ...] = ()
        self.saw_no_call = False
        self.phase = ""
        self.under_way: set[str] = set()

    def now(self) -> float:
        """Seconds since the command began."""
        return round(self._clock.seconds() - self._began, 3)

    def waits(self, why: str) -> None:
        """Tell what is waited for.

        Args:
            why: what; "" for nothing. That the new ones are watched is told by their figures.
        """
        self._waiting = "" if why.startswith("watched") else why
        if self._waiting and self._waiting != self._told:
            self._told = why
            self._emit(WaitEvent(at_s=self.now(), why=why))

    def goes_on(self) -> None:
        """Nothing is waited for any more: the next wait is told, even if it is the same."""
        self._told = self._waiting = ""

    def notices(self, what: str) -> None:
        """Tell something that people should know."""
        self._emit(NoticeEvent(at_s=self.now(), what=what))

    def interrupted(self) -> str:
        """What follows from a ^C, in one line: whatever is asked may take long to answer."""
        if self.under_way:
            now = f"under way: {', '.join(sorted(self.under_way))}"
        elif self._waiting:
            now = f"it waits: {self._waiting}"
        else:
            now = "it looks how the replicas are"
        follows = _INTERRUPTED.get(self.phase, _UNDONE)
        return f"interrupted: {follows}; {now}; ^C again leaves it as it is, for the next run"

    @property
    def has_told_decision(self) -> bool:
        """Whether any was told."""
        return bool(self._decision)

    def tell_decision(self, phase: str, version: str, why: str, *parts: object) -> None:
        """Tell what was decided.

        Args:
            phase: as in `PhaseEvent`.
            version: the new one.
            why: why it is undone; "" otherwise.
            parts: what else makes it another decision than the last one of the same phase.
        """
        decision = (phase, *parts)
        if decision != self._decision:
            self._decision = decision
            self.phase = phase
            self._emit(
                PhaseEvent(
                    at_s=self.now(), phase=phase, version=version, members=self.members, why=why
                )
            )

    def tell_replica(self, name: str, state: str, *, version: str, address: str) -> None:
        """Tell how a replica is.

        Args:
            name: its own.
            state: as in `ReplicaEvent`.
            version: what it runs; "" when nobody knows.
            address: "host:port"; "" while it has none. Another one is another process.
        """
        before, where = self._states.get(name, ("", ""))
        # One that is gone is nowhere, whatever is remembered of its address.
        if state == before and (address == where or state == "gone"):
            return
        self._states[name] = (state, address)
        role: Literal["new", "old"] = "new" if name in self.members else "old"
        self._emit(
            ReplicaEvent(
                at_s=self.now(),
                replica=name,
                role=role,
                version=version,
                address=address,
                state=state,
            )
        )

    def tell_gone(self, there: set[str]) -> None:
        """Tell of all that were told of and are no more.

        Args:
            there: the names of those that are.
        """
        for name in sorted(self._states.keys() - there):
            self.tell_replica(name, "gone", version="", address="")

    def tell_step(self, step: str, replica: str, why: str = "") -> None:
        """Tell that something was done; or why not."""
        self._emit(StepEvent(at_s=self.now(), step=step, replica=replica, why=why))

    def tell_comparison(self, comparison: Comparison | None) -> None:
        """Tell how the new ones do beside the old ones; None when they are not watched now."""
        if comparison is None or comparison == self._compared:
            return
        self._compared = comparison
        self.saw_no_call = not comparison.new.requests
        self._emit(
            BakeEvent(
                at_s=self.now(),
                seconds=round(comparison.seconds, 3),
                of_s=self._bake_s,
                new=_side(comparison.new),
                old=_side(comparison.old),
            )
        )


def _side(figures: Figures) -> Side:
    mean_s = figures.seconds / figures.requests if figures.requests else 0.0
    return Side(
        requests=int(figures.requests),
        errors=int(figures.errors),
        mean_ms=round(1000 * mean_s, 3),
        p99_ms=round(1000 * figures.quantile_s(0.99), 3),
    )
