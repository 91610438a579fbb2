"""When each call of a load is due: at a constant rate, whatever the answers do. Pure.

A load that waits for an answer before it asks again slows down together with what it measures, and
so leaves out the very calls that would have waited (coordinated omission: Gil Tene, "How NOT to
Measure Latency"). Here call ``i`` is due at ``i / rate``, and its latency counts from that instant
even when it could only begin later.
"""

from __future__ import annotations


class Schedule:
    """The instants of one load, in seconds from its beginning.

    Attributes:
        total: how many calls there are.
    """

    __slots__ = ("_rate", "total")

    def __init__(self, rate: float, duration_s: float) -> None:
        """Lay out a load.

        Args:
            rate: calls a second.
            duration_s: the last call is due just before this.
        """
        self._rate = rate
        self.total = max(1, round(rate * duration_s))

    def due(self, elapsed_s: float) -> int:
        """How many calls should have begun by now."""
        return min(self.total, int(elapsed_s * self._rate) + 1)

    def instant(self, number: int) -> float:
        """When a call is due; the first is number 0."""
        return number / self._rate
