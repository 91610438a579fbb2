"""How long a process stood still: its reactor did not come to look at its sockets.

A handler that blocks, a garbage collection, a machine with more to do than it has processors: all
that comes meanwhile waits for as long, and the requests' own times, which begin when they are read,
do not show it. So a timer looks at how late it is itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from twisted.internet.interfaces import IDelayedCall

from balancer import Clock

# How often (seconds): ten wakes a second cost a process nothing that could be measured.
_LOOK_S = 0.1
# Less (seconds) is a busy process at work: handlers take turns.
_LATE_S = 0.05


class Stalls:
    """Counts them; a collector of `services.kit.metrics`."""

    def __init__(self, clock: Clock) -> None:
        """Begin at nothing; see `start`."""
        self._clock = clock
        self._due_at = 0.0
        self._next: IDelayedCall | None = None
        self._count = 0
        self._seconds = 0.0

    def start(self) -> None:
        """Look from now on."""
        self._due_at = self._clock.seconds() + _LOOK_S
        self._next = self._clock.callLater(_LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more; harmless when it never did."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _look(self) -> None:
        late_s = self._clock.seconds() - self._due_at
        if late_s > _LATE_S:
            self._count += 1
            self._seconds += late_s
        self.start()

    def collect(self) -> Iterable[Metric]:
        """See `services.kit.metrics`."""
        yield CounterMetricFamily(
            "mesh_stalls", "Times that the process stood still for over 50 ms.", self._count
        )
        yield CounterMetricFamily(
            "mesh_stalled_seconds", "How long it stood still in these.", self._seconds
        )
