"""The way from one client to one server."""

from __future__ import annotations

from ...errors import ConnectFailed
from ...transport import Attempt
from ..scheduler import Scheduler
from .job import Job
from .server import Server

# A connect that nobody takes is refused after a round trip within the machine room (seconds).
_REFUSED_S = 0.0002


class ServerChannel:
    """A `balancer.transport.Channel` to a simulated server.

    Like the double in `balancer.testing` it is as strict as its interface: a mistake in the order
    of calls, which on sockets would be a leak, is an `AssertionError`.
    """

    __slots__ = ("_closed", "_connecting", "_scheduler", "_server")

    def __init__(self, scheduler: Scheduler, server: Server) -> None:
        """Lead to a server."""
        self._scheduler = scheduler
        self._server = server
        self._closed = False
        # Attempts whose connect will be refused in a moment; they have no carrier.
        self._connecting: dict[Attempt, Job] = {}

    def start(self, attempt: Attempt, *, bodiless: bool = False) -> None:
        """See `balancer.transport.Channel`."""
        assert not self._closed, "an attempt was started on a closed channel"
        assert attempt.carrier is None, "an attempt was started that another channel carries"
        server = self._server
        if server.up:
            server.start(attempt)
            return
        server.attempts += 1
        job = self._connecting[attempt] = Job(attempt)
        self._scheduler.at(self._scheduler.now + _REFUSED_S, self._refuse, job)

    def abandon(self, attempt: Attempt) -> None:
        """See `balancer.transport.Channel`."""
        if attempt.carrier is not None:
            self._server.abandon(attempt.carrier)
        else:
            self._connecting.pop(attempt).attempt = None

    def close(self) -> None:
        """See `balancer.transport.Channel`."""
        self._closed = True

    def _refuse(self, job: Job) -> None:
        attempt = job.attempt
        if attempt is not None:
            del self._connecting[attempt]
            address = self._server.endpoint.address
            attempt.failed(ConnectFailed(f"no connection to {address}: refused"))
