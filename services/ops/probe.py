"""How a replica is, by its own word: one small request to its admin port, with a deadline.

Not a call through the mesh: this asks one particular replica, also one that the mesh avoids.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from balancer import CallError, Clock, ConfigError, Endpoint, Reply
from balancer.transport import Pool, PoolSettings, Sweep
from balancer.wire import WireLimits

READY = "ready"
STANDBY = "standby"
DRAINING = "draining"
SILENT = "silent"
UNREACHABLE = "unreachable"

# On one network a replica that takes a second for "are you ready" is no use to callers.
DEADLINE_S = 1.0

_REQUEST = "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"


class _Question:
    """One request on its way; see `balancer.transport.Attempt` and `balancer.transport.Timed`."""

    def __init__(self, pool: Pool, sweep: Sweep, request: bytes) -> None:
        self.carrier: Any = None
        self.due = 0
        self.state: Deferred[str] = Deferred()
        self._pool = pool
        self._sweep = sweep
        self._request = request

    def payload(self) -> bytes:
        return self._request

    def replied(self, reply: Reply) -> None:
        if reply.status < 500:
            self._end(READY)
        else:
            self._end(STANDBY if b'"standby"' in reply.body else DRAINING)

    def failed(self, error: CallError) -> None:
        self._end(SILENT if error.sent else UNREACHABLE)

    def expired(self, now: float) -> None:
        # Without a carrier there is not even a connection.
        state = UNREACHABLE if self.carrier is None else SILENT
        self._pool.abandon(self)
        self._end(state)

    def _end(self, state: str) -> None:
        self._sweep.remove(self)
        self._pool.close()
        self.state.callback(state)


class Prober:
    """Asks replicas for their state."""

    def __init__(self, reactor: Any, clock: Clock) -> None:
        """Take what sockets and deadlines need."""
        self._reactor = reactor
        self._clock = clock
        self._sweep = Sweep(clock)

    def state(self, endpoint: Endpoint) -> Deferred[str]:
        """Ask one replica.

        Args:
            endpoint: from the registry. One without an admin port (a static registry knows none)
                is asked at its service port: whoever answers there is taken for ready.

        Returns:
            Fires with "ready", "standby", "draining", "silent" (connected, and no answer) or
            "unreachable".
        """
        address = endpoint.admin or endpoint.address
        path = "/health/ready" if endpoint.admin else "/openapi.json"
        try:
            pool = Pool(
                address,
                reactor=self._reactor,
                clock=self._clock,
                sweep=self._sweep,
                settings=PoolSettings(connections=1, connect_timeout_s=DEADLINE_S),
                limits=WireLimits(),
            )
        except ConfigError:  # whatever was announced there is no address
            return succeed(UNREACHABLE)
        request = _REQUEST.format(path=path, address=address).encode("ascii")
        question = _Question(pool, self._sweep, request)
        self._sweep.add(question, self._clock.seconds() + DEADLINE_S)
        pool.start(question)
        return question.state
