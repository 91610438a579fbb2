"""One request to one particular replica, also to one that the mesh avoids."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, fail

from balancer import (
    CallError,
    Clock,
    ConfigError,
    ConnectFailed,
    DeadlineExceeded,
    Endpoint,
    Reply,
)
from balancer.transport import Pool, PoolSettings, Sweep
from balancer.wire import WireLimits

# On one network a replica that takes a second for "are you ready" is no use to callers.
DEADLINE_S = 1.0


def meant(endpoint: Endpoint, path: str, **fields: str) -> str:
    """The target of a question at an admin port that one replica alone is to answer.

    Ports are used again: whoever has this one by now is to know that another is meant.

    Args:
        endpoint: of the one that is meant.
        path: what is asked.
        **fields: what else the query says.
    """
    return f"{path}?{urlencode({'replica': endpoint.replica, **fields})}"


class _Question:
    """One request on its way; see `balancer.transport.Attempt` and `balancer.transport.Timed`."""

    def __init__(self, pool: Pool, sweep: Sweep, address: str, request: bytes) -> None:
        self.carrier: Any = None
        self.due = 0
        self.answer: Deferred[Reply] = Deferred()
        self._pool = pool
        self._sweep = sweep
        self._address = address
        self._request = request

    def payload(self) -> bytes:
        return self._request

    def replied(self, reply: Reply) -> None:
        self._end(reply)

    def failed(self, error: CallError) -> None:
        self._end(error)

    def expired(self, now: float) -> None:
        connected = self.carrier is not None
        self._pool.abandon(self)
        kind = DeadlineExceeded if connected else ConnectFailed
        self._end(kind(f"{self._address} does not answer", sent=connected))

    def _end(self, result: Reply | CallError) -> None:
        self._sweep.remove(self)
        self._pool.close()
        if isinstance(result, Reply):
            self.answer.callback(result)
        else:
            self.answer.errback(result)


class Asker:
    """Asks replicas, one connection a question."""

    def __init__(self, reactor: Any, clock: Clock) -> None:
        """Take what sockets and deadlines need."""
        self._reactor = reactor
        self._clock = clock
        self._sweep = Sweep(clock)

    def ask(
        self,
        address: str,
        target: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        deadline_s: float = DEADLINE_S,
    ) -> Deferred[Reply]:
        """Ask one replica.

        Args:
            address: "host:port", of its service port or of its admin port.
            target: path and query, quoted.
            method: such as "POST".
            body: JSON; b"" for none.
            deadline_s: how long to wait for the whole answer, in seconds.

        Returns:
            Fires with the answer, whatever its status; fails with a `CallError` whose ``sent`` says
            whether there was a connection at all.
        """
        try:
            pool = Pool(
                address,
                reactor=self._reactor,
                clock=self._clock,
                sweep=self._sweep,
                settings=PoolSettings(connections=1, connect_timeout_s=deadline_s),
                limits=WireLimits(),
            )
        except ConfigError as error:  # whatever was announced there is no address
            return fail(ConnectFailed(str(error)))
        lines = [f"{method} {target} HTTP/1.1", f"Host: {address}", "Connection: close"]
        if method != "GET":
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        request = "\r\n".join((*lines, "", "")).encode("ascii") + body
        question = _Question(pool, self._sweep, address, request)
        self._sweep.add(question, self._clock.seconds() + deadline_s)
        pool.start(question)
        return question.answer
