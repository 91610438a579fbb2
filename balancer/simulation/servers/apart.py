"""Each by itself: no queue; the latency may grow with the number of requests in flight."""

from __future__ import annotations

from collections.abc import Callable

from ..scheduler import Scheduler
from .job import Job, Place


class Apart:
    """Jobs that do not wait for each other.

    A job of size r that comes when n are in flight (itself among them) takes r * (1 + n/capacity):
    the server of palantir/dialogue's simulation. Without a capacity it takes just r.
    """

    __slots__ = ("_capacity", "_count", "_done", "_scheduler")

    def __init__(self, scheduler: Scheduler, capacity: float = float("inf")) -> None:
        """Begin idle.

        Args:
            scheduler: virtual time.
            capacity: requests in flight at which the latency has doubled.
        """
        self._scheduler = scheduler
        self._capacity = capacity
        self._count = 0

    def attach(self, done: Callable[[Job], None]) -> None:
        """See `Work`."""
        self._done = done

    def begin(self, job: Job) -> None:
        """See `Work`."""
        self._count += 1
        latency_s = job.size_s * (1 + self._count / self._capacity)
        scheduler = self._scheduler
        scheduler.at(scheduler.now + latency_s, self._finish, job)

    def cancel(self, job: Job) -> None:
        """See `Work`."""
        self._count -= 1

    def _finish(self, job: Job) -> None:
        if job.place is Place.WORKING:  # else it was cancelled
            self._count -= 1
            self._done(job)
