"""What became of a replica's recorded attempts, to be drawn again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from math import inf

import msgspec

from ...telemetry import AttemptEntry
from .record import Record

# A new attempt ends like one that was recorded near its time: of this many at most, if they began
# within so many seconds; of this few at least. So a replica that was slow or failed for a while
# does so for that while, and five failures in a row are five again.
_MOST, _LEAST = 20, 3
_NEAR_S = 0.25
# Ends that say only that somebody had waited enough.
_GIVEN_UP = frozenset({"attempt-timeout", "deadline"})
# An attempt that was not needed any more says nothing of its replica.
_CANCELLED = "cancelled"


class Outcome(msgspec.Struct, frozen=True):
    """How one attempt ended.

    Attributes:
        at_s: when it began, in seconds since the log began.
        load: the caller's attempts in flight there, this one among them.
        latency_s: from its beginning to its end.
        status: of the answer; 0 when there was none.
        error: when there was none: the error's kind.
    """

    at_s: float
    load: int
    latency_s: float
    status: int
    error: str

    @property
    def silent(self) -> bool:
        """Whether it was given up: nobody knows what would have come of it."""
        return self.error in _GIVEN_UP


class Outcomes:
    """Those of one replica, in the order of their beginning."""

    __slots__ = ("_ordered", "_random", "_times")

    def __init__(self, outcomes: Iterable[Outcome], random: Callable[[], float]) -> None:
        """Take them.

        Args:
            outcomes: at least one.
            random: floats in [0, 1).
        """
        self._ordered = sorted(outcomes, key=lambda outcome: outcome.at_s)
        self._times = [outcome.at_s for outcome in self._ordered]
        self._random = random

    def draw(self, at_s: float) -> Outcome:
        """One of those that began nearest to an instant.

        Args:
            at_s: in seconds since the log began.
        """
        ordered, times = self._ordered, self._times
        count = len(ordered)
        high = bisect_left(times, at_s)
        low = high
        while high - low < min(_MOST, count):
            before_s = at_s - times[low - 1] if low else inf
            after_s = times[high] - at_s if high < count else inf
            if high - low >= _LEAST and min(before_s, after_s) > _NEAR_S:
                break
            if before_s <= after_s:
                low -= 1
            else:
                high += 1
        return ordered[low + int(self._random() * (high - low))]


def outcomes_by_replica(record: Record) -> dict[str, list[Outcome]]:
    """All that were recorded, by address; replicas that were seen and never picked have none."""
    ends: dict[str, list[Outcome]] = {}
    for attempt in record.attempts():
        for candidate in attempt.candidates:
            ends.setdefault(candidate.address, [])
        if attempt.error != _CANCELLED:
            ends.setdefault(attempt.picked, []).append(_outcome(attempt))
    return dict(sorted(ends.items()))


def _outcome(attempt: AttemptEntry) -> Outcome:
    load = next(
        (
            candidate.in_flight
            for candidate in attempt.candidates
            if candidate.address == attempt.picked
        ),
        0,
    )
    return Outcome(attempt.at_s, load + 1, attempt.latency_s, attempt.status, attempt.error)
