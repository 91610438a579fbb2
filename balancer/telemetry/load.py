"""What a replica says of its own load on every answer.

Latency is kept by the number of requests in flight, because 3 ms at 2 in flight and 3 ms at 200 are
different messages: the report tells how long requests took of late at about the present load.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low

from ..values import LoadReport

# Of so many requests at about the same load the median is reported. A median, because the first
# request of a process (imports, connections) may take a hundred times the usual, and a mean would
# keep callers away for as many requests; so few, because a change must show soon.
_KEPT = 15
# The first requests of a process are not kept at all: they pay for imports and connections, and a
# replica that reported them would seem slow, get no calls, and have nothing else to report.
_COLD = 3


class LoadMeter:
    """Counts requests in flight and learns latencies by load.

    Attributes:
        in_flight: requests begun whose work has not ended; it can outlast the answer when a
            deadline came first.
        draining: whether to say that the replica is leaving.
    """

    __slots__ = ("_by_load", "_cold", "_started", "draining", "in_flight")

    def __init__(self, now: float) -> None:
        """Begin idle.

        Args:
            now: when the replica started, in monotonic seconds.
        """
        self._started = now
        self.in_flight = 0
        self._cold = _COLD
        self.draining = False
        # Index b: the latest latencies (seconds) of requests among 2**(b-1)..2**b - 1 in flight.
        self._by_load: list[deque[float]] = [deque(maxlen=_KEPT) for _ in range(32)]

    def ended(self, latency_s: float, leaves: int = 1) -> None:
        """Take note of an answered request.

        Args:
            latency_s: from the whole request to its answer; 0 when it says nothing of how fast
                requests are served, as that of a failure.
            leaves: 0 when its handler runs on; whoever sees it end takes it from `in_flight`.
        """
        index = self.in_flight.bit_length()
        self.in_flight -= leaves
        if not latency_s:
            return
        if self._cold:
            self._cold -= 1
        else:
            self._by_load[index].append(latency_s)

    def report(self, now: float) -> LoadReport:
        """The load as of now, with the latency that one more request would likely see.

        Args:
            now: monotonic seconds.
        """
        index = (self.in_flight + 1).bit_length()
        # Where nothing is known of this load, the nearest lower one is the best guess.
        while index > 1 and not self._by_load[index]:
            index -= 1
        known = self._by_load[index]
        return LoadReport(
            in_flight=self.in_flight,
            latency_ms=median_low(known) * 1000 if known else 0.0,
            age_s=int(now - self._started),
            draining=self.draining,
        )
