"""A listening port: its connections, and how it stops."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from balancer import Clock
from balancer.transport import OptimisticPort, listen, listen_on

from .connection import HttpConnection
from .descriptors import connections_at_most
from .peers import Peers
from .serving import Serving
from .settings import ServerSettings
from .site import Site

_log = Logger()
# How often a drain looks whether it is done (seconds).
_DRAIN_LOOK_S = 0.05


class Server(ServerFactory):
    """Serves a site on one port.

    Attributes:
        serving: what its connections share, and what is counted of them.
    """

    noisy = False

    def __init__(
        self,
        site: Site,
        settings: ServerSettings,
        *,
        clock: Clock,
        wall: Callable[[], datetime],
        service: str = "",
    ) -> None:
        """Begin without a port.

        Args:
            site: what to serve.
            settings: limits and times.
            clock: monotonic.
            wall: now in UTC, for the Date header.
            service: whose replica it is: the mesh's calls of others are misdirected; "" takes all.
        """
        self.serving = Serving(site, settings, clock, wall, service)
        self._connections: set[HttpConnection] = set()
        self._most = connections_at_most(settings.connections)
        self._port: OptimisticPort | None = None
        self._peers: Peers | None = None
        self._draining: list[Deferred[bool]] = []
        self._drain_until = 0.0
        self._idle_from = 0.0

    def listen(self, reactor: Any, host: str, port: int) -> str:
        """Open the port.

        Args:
            reactor: where the sockets live.
            host: the interface.
            port: 0 takes any free one.

        Returns:
            Its address, "host:port".

        Raises:
            twisted.internet.error.CannotListenError: the address is taken or not ours.
        """
        self._port = listen(reactor, host, port, self)
        number = self._port.getHost().port
        return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"

    def serve(self, reactor: Any, listening: socket.socket, peers: Peers | None = None) -> None:
        """Accept on a socket that listens already.

        Args:
            reactor: where the sockets live.
            listening: the caller's own, to be closed by it.
            peers: who else accepts on it; None for nobody.
        """
        self._peers = self.serving.peers = peers
        if peers is not None:
            peers.serve()
        self._port = listen_on(reactor, listening, self, peers.yields if peers else None)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make a connection's protocol; none when there are as many as allowed."""
        if len(self._connections) >= self._most:
            return None
        connection = HttpConnection(self.serving, self._closed)
        self._connections.add(connection)
        self._count()
        return connection

    def _closed(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)
        self._count()

    def _count(self) -> None:
        if self._peers is not None:
            self._peers.connected(len(self._connections))

    def balance(self) -> None:
        """Have connections end after their next answer while a peer has fewer of them.

        They come again, and are accepted by that one: such as a worker that took the place of a
        dead one, to whom nobody has had reason to connect.
        """
        if self._peers is not None:
            self.serving.surplus = 0 if self.serving.draining else self._peers.surplus()
            self._peers.elsewhere(self.serving.meter.in_flight)

    @property
    def listens(self) -> bool:
        """Whether it was ever told to serve."""
        return self._port is not None or self.serving.draining

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def close_port(self) -> None:
        """Take no more connections than have come by now; harmless the second time."""
        port = self._port
        if port is not None and not port.disconnecting:
            if self._peers is None or self.serving.meter.draining:
                # Nobody else will take them. What there is no room for would be cut all the same.
                port.last_call = self._most - len(self._connections)
            closed: Deferred[None] = port.stopListening()
            closed.addErrback(lambda failure: _log.failure("the port does not close", failure))
            closed.addCallback(self._port_closed)

    def _port_closed(self, _: None) -> None:
        self._port = None

    def drain(
        self, wait_s: float, *, idle_s: float | None = None, leaving: bool = True
    ) -> Deferred[bool]:
        """Finish what is here: each connection ends after its next answer, or when it lay idle.

        A second time it can only become quicker.

        Args:
            wait_s: when to give up and cut what is left, in seconds; 0 cuts at once.
            idle_s: when to close what idles, in seconds. None takes the notice's time: callers
                close what they keep idle as soon as they see the replica leave. When peers take
                over instead, nobody knows, and a call may be on its way on any connection.
            leaving: whether answers tell callers to go elsewhere.

        Returns:
            Fires when the port is closed, no connection is left and no handler runs; with False
            when it gave up.
        """
        serving = self.serving
        now = serving.seconds()
        # Callers that do not look get the rest of the notice: a request that is on its way must
        # not meet a closed door.
        idle_s = min(serving.settings.drain_notice_s if idle_s is None else idle_s, wait_s)
        done: Deferred[bool] = Deferred()
        first = not self._draining
        self._draining.append(done)
        self._drain_until = now + wait_s if first else min(self._drain_until, now + wait_s)
        self._idle_from = now + idle_s if first else min(self._idle_from, now + idle_s)
        serving.begin_drain(leaving=leaving)
        if self._peers is not None:
            self._peers.clear()
            self._count()
        if first:
            self._look(patient=wait_s > 0)
        return done

    def _look(self, *, patient: bool) -> None:
        """Close what may be closed, until nothing is left or the time is over."""
        serving = self.serving
        now = serving.seconds()
        if now >= self._idle_from:
            for connection in list(self._connections):
                connection.close_idle(now)
        over = now >= self._drain_until
        if over:
            self.close_port()
        # While the port is open somebody may still come: callers that do not look have the notice's
        # time, and that nobody is here just now says nothing.
        empty = not self._connections and not serving.meter.in_flight
        if empty and (over or self._port is None):
            self._drained(clean=True)
        elif over:
            if patient:  # whoever has no patience is not surprised
                _log.warn(
                    "the drain's time is over: {count} connections are cut, {requests} requests "
                    "are left to themselves",
                    count=len(self._connections),
                    requests=serving.meter.in_flight,
                )
            for connection in list(self._connections):
                connection.abort()
            self._drained(clean=False)
        else:
            serving.clock.callLater(_DRAIN_LOOK_S, lambda: self._look(patient=patient))

    def _drained(self, *, clean: bool) -> None:
        waiting, self._draining = self._draining, []
        for done in waiting:
            done.callback(clean)
