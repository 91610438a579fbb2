"""Latencies counted in buckets: constant memory, a constant price a value, percentiles to 5 %."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def geometric_bounds(first: float, last: float, ratio: float) -> tuple[float, ...]:
    """Upper bounds from ``first`` to at least ``last``, each ``ratio`` times the one before."""
    bounds = [first]
    while bounds[-1] < last:
        bounds.append(bounds[-1] * ratio)
    return tuple(bounds)


# 50 us to 100 s in steps of 10 %: a percentile is then right to 5 %, in 153 buckets.
FINE_BOUNDS_S = geometric_bounds(50e-6, 100.0, 1.1)


class Histogram:
    """Counts of values by upper bound.

    Attributes:
        bounds: upper bounds, rising; what is above the last is counted in one more bucket.
        counts: one more than there are bounds.
        total: how many values.
        sum: of all values.
        greatest: of all values.
    """

    __slots__ = ("bounds", "counts", "greatest", "sum", "total")

    def __init__(self, bounds: Sequence[float] = FINE_BOUNDS_S) -> None:
        """Begin empty.

        Args:
            bounds: rising.
        """
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0
        self.sum = 0.0
        self.greatest = 0.0

    def add(self, value: float) -> None:
        """Count a value. Cost: one binary search."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += 1
        self.sum += value
        if value > self.greatest:  # noqa: PLR1730 - max() costs three times as much here
            self.greatest = value

    def percentile(self, share: float) -> float:
        """The value below which a share of all values lies.

        Args:
            share: 0.5 for the median, 0.999 for p99.9.

        Returns:
            The geometric middle of its bucket, at most the greatest value; 0.0 when empty.
        """
        if not self.total:
            return 0.0
        wanted = share * self.total
        passed = 0
        for index, count in enumerate(self.counts):
            passed += count
            if count and passed >= wanted:
                if index == len(self.bounds):
                    break
                lower = self.bounds[index - 1] if index else 0.0
                middle: float = (lower * self.bounds[index]) ** 0.5 or self.bounds[index]
                return min(middle, self.greatest)
        return self.greatest
