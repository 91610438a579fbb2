"""All at once, sharing one capacity evenly: a process with many requests and a few cores.

With n jobs each advances at capacity/n. Worked out by *virtual work*: the amount V that each job
present has been served so far grows at capacity/n, a job that comes at V with size s is done when
V reaches V + s, and that does not change when others come and go. So a heap of those finish amounts
replaces looking at every job at every event: O(log n) an event.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from ..scheduler import Scheduler
from .job import Job, Place

# Amounts that differ by less (seconds of work) are the same: what rounding leaves over is no event.
_ROUNDING_S = 1e-9
_NEVER = float("inf")


class Sharing:
    """Processor sharing without a limit for each job."""

    __slots__ = (
        "_at",
        "_capacity",
        "_count",
        "_done",
        "_entered",
        "_heap",
        "_scheduler",
        "_served",
        "_wake_at",
    )

    def __init__(self, scheduler: Scheduler, capacity: float = 1.0) -> None:
        """Begin idle.

        Args:
            scheduler: virtual time.
            capacity: seconds of work that it does in a second.
        """
        self._scheduler = scheduler
        self._capacity = capacity
        self._heap: list[tuple[float, int, Job]] = []
        self._count = 0  # of the jobs present; those cancelled are still in the heap
        self._entered = 0
        self._served = 0.0
        self._at = scheduler.now
        self._wake_at = _NEVER

    @property
    def capacity(self) -> float:
        """Seconds of work that it does in a second; may be changed at any time."""
        return self._capacity

    @capacity.setter
    def capacity(self, capacity: float) -> None:
        self._advance()
        self._capacity = capacity
        self._wake()

    def attach(self, done: Callable[[Job], None]) -> None:
        """See `Work`."""
        self._done = done

    def begin(self, job: Job) -> None:
        """See `Work`."""
        self._advance()
        self._count += 1
        self._entered += 1
        heappush(self._heap, (self._served + job.size_s, self._entered, job))
        self._wake()

    def cancel(self, job: Job) -> None:
        """See `Work`."""
        self._advance()
        self._count -= 1
        self._wake()

    def _advance(self) -> None:
        """Bring the amount served up to now."""
        now = self._scheduler.now
        if self._count:
            self._served += (now - self._at) * self._capacity / self._count
        self._at = now

    def _wake(self) -> None:
        """Be called when the next job is done, or before: more may come and make it later."""
        heap = self._heap
        while heap and heap[0][2].place is not Place.WORKING:
            heappop(heap)
        if not heap:
            # Idle: begin again at nought, so that amounts stay small and exact.
            self._served = 0.0
            return
        left_s = (heap[0][0] - self._served) * self._count / self._capacity
        due = self._at + left_s
        if due < self._wake_at:
            self._wake_at = due
            self._scheduler.at(due, self._woken, due)

    def _woken(self, due: float) -> None:
        if due != self._wake_at:
            return  # an earlier one has come in between
        self._wake_at = _NEVER
        self._advance()
        heap = self._heap
        done = []
        while heap:
            finish, _, job = heap[0]
            if job.place is Place.WORKING:
                if finish > self._served + _ROUNDING_S:
                    break
                self._count -= 1
                done.append(job)
            heappop(heap)
        self._wake()
        for job in done:
            self._done(job)
