"""One at a time, in the order in which they came: the model of queueing theory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..scheduler import Scheduler
from .job import Job, Place


class Fifo:
    """A single server with a queue.

    A job whose deadline is over when its turn comes is not begun but answered 504, as real servers
    do: what would be worked on for nobody is what keeps an overloaded server overloaded.
    """

    __slots__ = ("_done", "_queue", "_running", "_scheduler")

    def __init__(self, scheduler: Scheduler) -> None:
        """Begin idle."""
        self._scheduler = scheduler
        self._queue: deque[Job] = deque()
        self._running: Job | None = None

    def attach(self, done: Callable[[Job], None]) -> None:
        """See `Work`."""
        self._done = done

    def begin(self, job: Job) -> None:
        """See `Work`."""
        if self._running is None:
            self._run(job)
        else:
            self._queue.append(job)

    def cancel(self, job: Job) -> None:
        """See `Work`. A queued job is passed over when its turn comes."""
        if job is self._running:
            self._next()

    def _run(self, job: Job) -> None:
        self._running = job
        scheduler = self._scheduler
        scheduler.at(scheduler.now + job.size_s, self._finish, job)

    def _finish(self, job: Job) -> None:
        if job is self._running:  # else it was cancelled
            self._next()
            self._done(job)

    def _next(self) -> None:
        """Turn to the next in the queue that is still wanted."""
        self._running = None
        queue = self._queue
        now = self._scheduler.now
        late = []
        while queue:
            job = queue.popleft()
            if job.place is not Place.WORKING:
                continue
            if job.deadline > now:
                self._run(job)
                break
            job.status, job.nack = 504, True
            late.append(job)
        for job in late:
            self._done(job)
