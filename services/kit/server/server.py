"""A listening port: its connections, and how it stops."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from balancer import Clock
from balancer.transport import OptimisticPort, listen

from .connection import HttpConnection
from .descriptors import connections_at_most
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
    ) -> None:
        """Begin without a port.

        Args:
            site: what to serve.
            settings: limits and times.
            clock: monotonic.
            wall: now in UTC, for the Date header.
        """
        self.serving = Serving(site, settings, clock, wall)
        self._connections: set[HttpConnection] = set()
        self._most = connections_at_most(settings.connections)
        self._port: OptimisticPort | None = None

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

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make a connection's protocol; none when there are as many as allowed."""
        if len(self._connections) >= self._most:
            return None
        connection = HttpConnection(self.serving, self._connections.discard)
        self._connections.add(connection)
        return connection

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def close_port(self) -> None:
        """Take no more connections."""
        if self._port is not None:
            self._port.stopListening()
            self._port = None

    def drain(self, wait_s: float) -> Deferred[bool]:
        """Finish what is here: each connection ends after its next answer, or when it lay idle.

        Args:
            wait_s: when to give up and cut what is left, in seconds; 0 cuts at once.

        Returns:
            Fires when no connection is left and no handler runs; with False when it gave up.
        """
        serving = self.serving
        serving.begin_drain()
        done: Deferred[bool] = Deferred()
        until = serving.seconds() + wait_s
        # Callers close what they keep idle as soon as they see the replica leave. Others get the
        # rest of the notice: a request that is on its way must not meet a closed door.
        idle_from = serving.seconds() + min(serving.settings.drain_notice_s, wait_s)

        def look() -> None:
            now = serving.seconds()
            if now >= idle_from:
                for connection in list(self._connections):
                    connection.close_idle()
            if not self._connections and not serving.meter.in_flight:
                done.callback(True)
            elif now >= until:
                if wait_s > 0:  # whoever has no patience is not surprised
                    _log.warn(
                        "the drain's time is over: {count} connections are cut, {requests} "
                        "requests are left to themselves",
                        count=len(self._connections),
                        requests=serving.meter.in_flight,
                    )
                for connection in list(self._connections):
                    connection.abort()
                done.callback(False)
            else:
                serving.clock.callLater(_DRAIN_LOOK_S, look)

        look()
        return done
