"""The work of a server that behaves as a replica did when it was recorded."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import CallError, ConnectFailed, ReplyLost
from ..scheduler import Scheduler
from ..servers import Job, Server
from ..servers.job import Place
from .outcomes import Outcomes


class Replayed:
    """Ends each job like one of the attempts that were recorded around that time.

    An attempt that was given up is replayed as one that is never answered.

    Attributes:
        server: whose work it is; set when there is one.
    """

    server: Server

    def __init__(self, scheduler: Scheduler, outcomes: Outcomes, capacity: float) -> None:
        """Begin idle.

        Args:
            scheduler: virtual time; the log begins now.
            outcomes: the replica's.
            capacity: attempts in flight at which a latency has doubled.
        """
        self._scheduler = scheduler
        self._outcomes = outcomes
        self._capacity = capacity
        self._began = scheduler.now
        self._count = 0

    def attach(self, done: Callable[[Job], None]) -> None:
        """See `Work`."""
        self._done = done

    def begin(self, job: Job) -> None:
        """See `Work`."""
        self._count += 1
        scheduler = self._scheduler
        drawn = self._outcomes.draw(scheduler.now - self._began)
        if drawn.silent:
            return
        loaded, was_loaded = (1 + load / self._capacity for load in (self._count, drawn.load))
        end = scheduler.now + drawn.latency_s * loaded / was_loaded
        if drawn.status:
            job.status = drawn.status
            scheduler.at(end, self._answer, job)
        else:
            address = self.server.endpoint.address
            error: CallError = (
                ConnectFailed(f"no connection to {address}: recorded")
                if drawn.error == ConnectFailed.kind
                else ReplyLost(f"{address} gave no answer: recorded", sent=True)
            )
            scheduler.at(end, self._lose, job, error)

    def cancel(self, job: Job) -> None:
        """See `Work`."""
        self._count -= 1

    def _answer(self, job: Job) -> None:
        if job.place is Place.WORKING:  # else it was cancelled
            self._count -= 1
            self._done(job)

    def _lose(self, job: Job, error: CallError) -> None:
        if job.place is Place.WORKING:
            attempt = job.attempt
            assert attempt is not None, "a job is worked on that nobody waits for"
            self.server.abandon(job)
            attempt.failed(error)
