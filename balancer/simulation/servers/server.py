"""A server as its callers see it.

It reports its load with the code that real servers use (`LoadMeter`, `format_load`), and as they
do: a report is worked out at most ten times a second for each number of requests in flight.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from ...errors import ReplyLost
from ...telemetry import LoadMeter
from ...transport import Attempt
from ...values import Endpoint, Reply
from ...wire import format_load
from ..scheduler import Scheduler
from .fault import BlackHole, Failing, Fault
from .job import Job, Place, Work

# Replicas of a scenario have run for an hour when it starts: none is young.
OLD_S = 3600.0
# As long as a real server uses a report's text.
_REFRESH_S = 0.1
_PROBE = b"OPTIONS * "
_DEADLINE = re.compile(rb"\r\nMesh-Deadline: ([0-9]+)\r\n").search


class Server:
    """One simulated replica.

    Attributes:
        endpoint: where it is, and which process of it.
        work: how it works off jobs.
        draw: the size of the next job, in seconds; may be replaced at any time.
        slowness: jobs that come from now on are so many times larger.
        fault: what is wrong with it; None when nothing is.
        limit: requests at once; one more is refused with a nack. 0 for no limit.
        drops_late: whether a job whose deadline has passed is refused at its turn.
        up: whether the process runs.
        meter: the load that it reports.
        attempts: attempts that it was given, refused connects included, load probes not.
        probes: load probes that it was given.
        answered: answers that it gave, probes' not among them.
        lost: attempts that were running when it was killed.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        endpoint: Endpoint,
        work: Work,
        draw: Callable[[], float],
        *,
        age_s: float = OLD_S,
        delay_s: float = 0.0,
        limit: int = 0,
        drops_late: bool = False,
    ) -> None:
        """Start it.

        Args:
            scheduler: virtual time.
            endpoint: where it is.
            work: how it works off jobs.
            draw: gives the size of each job, in seconds.
            age_s: for how long it has run already.
            delay_s: the network's, each way.
            limit: see the class; likewise below.
            drops_late: see the class.
        """
        self.endpoint = endpoint
        self.work = work
        self.draw = draw
        self.slowness = 1.0
        self.fault: Fault | None = None
        self.limit = limit
        self.drops_late = drops_late
        self.up = True
        self.meter = LoadMeter(scheduler.now - age_s)
        self.attempts = self.probes = self.answered = self.lost = 0
        self._scheduler = scheduler
        self._delay_s = delay_s
        # A dict serves as an ordered set: what is lost in a kill is lost in the order it came.
        self._jobs: dict[Job, None] = {}
        self._reports: dict[int, bytes] = {}
        self._refresh_at = 0.0
        self._cold_s = self._coldness = 0.0
        self._warm_at = 0.0
        work.attach(self._done)

    # What may befall it.

    def drain(self) -> None:
        """From now on say that it is leaving; what comes is still answered."""
        self.meter.draining = True
        self._refresh_at = 0.0

    def kill(self) -> None:
        """End the process: what runs is lost, and connects are refused."""
        self.up = False
        self.fault = None
        jobs = list(self._jobs)
        self._jobs.clear()
        working = [job for job in jobs if job.place is Place.WORKING]
        for job in jobs:
            job.place = Place.AWAY
        for job in working:
            self.work.cancel(job)
        for job in jobs:
            self.lost += 1
            self._lose(job)

    def restart(self, pid: int, *, cold_s: float = 0.0, coldness: float = 1.0) -> None:
        """Start a new process at the same address; it has to be announced anew.

        Args:
            pid: the new process's.
            cold_s: for how long its caches are cold.
            coldness: how many times as long its jobs take at first; it falls to 1 evenly.
        """
        now = self._scheduler.now
        self.endpoint = msgspec.structs.replace(self.endpoint, pid=pid, started=now)
        self.up = True
        self.fault = None
        self.slowness = 1.0
        self.meter = LoadMeter(now)
        self._refresh_at = 0.0
        self._cold_s, self._coldness = cold_s, coldness
        self._warm_at = now + cold_s

    # What a channel asks.

    def start(self, attempt: Attempt) -> None:
        """Take an attempt; the server is up."""
        job = attempt.carrier = Job(attempt)
        scheduler = self._scheduler
        data = attempt.payload()
        probing = data.startswith(_PROBE)
        if probing:
            self.probes += 1
        else:
            self.attempts += 1
            if self.drops_late:
                found = _DEADLINE(data)
                if found is not None:
                    job.deadline = scheduler.now + int(found[1]) / 1000
        arrive = self._answer_probe if probing else self._arrive
        if probing or self._delay_s:
            scheduler.at(scheduler.now + self._delay_s, arrive, job)
        else:
            self._arrive(job)

    def abandon(self, job: Job) -> None:
        """Stop working on a job: nobody waits for it any more."""
        attempt = job.attempt
        assert attempt is not None, "an attempt was abandoned that is not here"
        attempt.carrier = None
        job.attempt = None
        place, job.place = job.place, Place.AWAY
        if place is not Place.AWAY:
            del self._jobs[job]
            self.meter.in_flight -= 1
            if place is Place.WORKING:
                self.work.cancel(job)

    # How a job goes.

    def _arrive(self, job: Job) -> None:
        if job.attempt is None:
            return
        if not self.up:
            self._lose(job)
            return
        scheduler = self._scheduler
        job.began = now = scheduler.now
        meter = self.meter
        meter.in_flight += 1
        fault = self.fault
        if self.limit and meter.in_flight > self.limit:
            meter.ended(0.0)
            job.status, job.nack = 503, True
            scheduler.at(now, self._answer, job)
            return
        job.place = Place.HELD
        self._jobs[job] = None
        if fault is not None:
            if isinstance(fault, BlackHole):
                return
            assert isinstance(fault, Failing), f"{fault!r} is no fault of a server"
            job.status, job.nack = fault.status, fault.nack
            if fault.after_s is not None:
                scheduler.at(now + fault.after_s, self._done, job)
                return
        size_s = self.draw() * self.slowness
        if now < self._warm_at:
            size_s *= 1 + (self._coldness - 1) * (self._warm_at - now) / self._cold_s
        job.size_s = size_s
        job.place = Place.WORKING
        self.work.begin(job)

    def _done(self, job: Job) -> None:
        """The work is done, or an error is due."""
        if job.place is Place.AWAY:
            return  # abandoned or lost meanwhile
        job.place = Place.AWAY
        del self._jobs[job]
        self.meter.ended(self._scheduler.now - job.began)
        self._answer(job)

    def _answer_probe(self, job: Job) -> None:
        if job.attempt is None:
            return
        if not self.up:
            self._lose(job)
        elif not isinstance(self.fault, BlackHole):
            self._send(job, Reply(204, [(b"Mesh-Load", self._report())], b""))

    def _answer(self, job: Job) -> None:
        self.answered += 1
        headers = [(b"Mesh-Load", self._report())]
        if job.nack:
            headers.append((b"Mesh-Nack", b"1"))
        self._send(job, Reply(job.status, headers, b"{}"))

    def _send(self, job: Job, reply: Reply) -> None:
        if self._delay_s:
            scheduler = self._scheduler
            scheduler.at(scheduler.now + self._delay_s, self._deliver, job, reply)
        else:
            self._deliver(job, reply)

    def _deliver(self, job: Job, reply: Reply) -> None:
        attempt = job.attempt
        if attempt is not None:
            job.attempt = None
            attempt.carrier = None
            attempt.replied(reply)

    def _lose(self, job: Job) -> None:
        attempt = job.attempt
        if attempt is not None:
            job.attempt = None
            attempt.carrier = None
            attempt.failed(ReplyLost(f"{self.endpoint.address} closed the connection", sent=True))

    def _report(self) -> bytes:
        now = self._scheduler.now
        if now >= self._refresh_at:
            self._refresh_at = now + _REFRESH_S
            self._reports = {}
        in_flight = self.meter.in_flight
        report = self._reports.get(in_flight)
        if report is None:
            report = self._reports[in_flight] = format_load(self.meter.report(now))
        return report
