"""When a call that takes long is sent to a second replica as well.

The slowest answers are slow because of where they were sent: a pause of the process, a queue, a
cold cache. A second attempt on another replica does not share that, so a call that waits for the
first of two is slow only when both are: P(T > t) = P(X > t) * P(X > t - h) with a hedge after h.
Sent after the 95th percentile of the measured latencies it costs 5 % more attempts: with
exponential latencies p99 falls from 4.6 to 3.8 means, and p99.9 from 6.9 to 5.0.

The delay is measured, as no constant stays right, and from one operation at a time: if a service's
quick and slow operations were measured together, every slow call would be hedged. What is measured
is how long *first* attempts take. Of one that lost to its hedge only the moment is known at which
it was given up. That moment is counted: it lies above the delay, so the share of those above is
right, and where the delay was wrong each window halves the fault. (Were the winner's time counted
instead, exponential latencies would be hedged at their 90th percentile while meaning the 95th.)

Source: Dean and Barroso, "The tail at scale", CACM 2013.
"""

from __future__ import annotations

# The latest latencies: a percentile of 1,000 is right to about half a per cent of the calls, and a
# change of the service shows after a tenth of them.
_WINDOW = 1000
# Below this a 95th percentile is one of five values, and says nothing.
_LEAST = 100
# How often the percentile is worked out anew (latencies): sorting is then 2 us a call.
_EVERY = 50
# A delay under this (seconds) measures the hiccups of our own process, and would hedge all calls
# whenever it pauses.
_LEAST_S = 0.002


class HedgeDelay:
    """The recent latencies of one operation, and the delays that follow from them."""

    __slots__ = ("_added", "_latencies", "_sorted")

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._latencies: list[float] = []
        self._sorted: list[float] = []
        self._added = 0

    def add(self, latency_s: float) -> None:
        """Take note of a good answer.

        Args:
            latency_s: how long the first attempt took, or until it was given up for its hedge.
        """
        if len(self._latencies) < _WINDOW:
            self._latencies.append(latency_s)
        else:
            self._latencies[self._added % _WINDOW] = latency_s
        self._added += 1
        if self._added % _EVERY == 0 and self._added >= _LEAST:
            self._sorted = sorted(self._latencies)

    def delay_s(self, share: float) -> float | None:
        """How long to wait before a call is hedged.

        Args:
            share: of the calls that are not to be: 0.95 hedges one in twenty.

        Returns:
            Seconds, or None while too little is known.
        """
        known = self._sorted
        if not known:
            return None
        return max(known[min(int(share * len(known)), len(known) - 1)], _LEAST_S)
