"""How much longer attempts take when more of them run: estimated from a record.

A recorded latency has the load of its time in it. Under another policy the load is another, so it
is taken out before and put in again: a latency is r * (1 + n/c), with n of the caller's attempts
in flight at the replica, this one among them; r is what is drawn again, and c is estimated here,
one for all replicas. What others did to the replicas stays in r: nobody knows what they would have
done.

A replica that turns slow also has more in flight *because* it is slow. So only attempts of the same
replica within the same short stretch are compared with each other; of the slopes of all stretches
the median counts, which those few do not move in which a replica changed; and where it is not well
above what chance makes of it, there is none, and latencies are replayed as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, sqrt
from statistics import fmean, median

# Attempts of one replica that are compared with each other: enough to differ in their load, few
# enough that the replica is the same.
_STRETCH = 20
# Fewer stretches than this say nothing.
_STRETCHES = 8
# A median of less than so many standard errors may be chance. Its error is 1.25 times that of a
# mean, and the median distance from it is .674 standard deviations, if slopes are normal.
_SIGNIFICANT = 3.0
_ERROR = 1.2533 / 0.6745


def capacity(attempts: Iterable[Sequence[tuple[int, float]]]) -> float:
    """Attempts in flight at which a latency has doubled; infinite when none can be seen.

    Args:
        attempts: for each replica (attempts in flight, latency in seconds) in their order.
    """
    slopes: list[float] = []
    loads: list[float] = []
    for of_replica in attempts:
        for begin in range(0, len(of_replica) - _STRETCH + 1, _STRETCH):
            stretch = of_replica[begin : begin + _STRETCH]
            slope = _slope(stretch)
            if slope is not None:
                slopes.append(slope)
                loads.append(fmean(load for load, _ in stretch))
    if len(slopes) < _STRETCHES:
        return inf
    usual = median(slopes)
    error = _ERROR * median(abs(slope - usual) for slope in slopes) / sqrt(len(slopes))
    if usual <= _SIGNIFICANT * error:
        return inf
    # In parts of the mean latency, which is r * (1 + load/c), the slope is 1 / (c + load). It was
    # at least one attempt that was in flight when it was measured.
    return max(1 / usual - median(loads), 1.0)


def _slope(stretch: Sequence[tuple[int, float]]) -> float | None:
    """How latency rises with each attempt in flight, in parts of its mean; None if none varied."""
    mean_load = fmean(load for load, _ in stretch)
    mean_s = fmean(latency_s for _, latency_s in stretch)
    spread = sum((load - mean_load) ** 2 for load, _ in stretch)
    if not spread or not mean_s:
        return None
    together = sum((load - mean_load) * (latency_s - mean_s) for load, latency_s in stretch)
    return together / spread / mean_s
