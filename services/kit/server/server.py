"""A listening port: its connections, its limits, and how it stops."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from balancer import Clock
from balancer.transport import OptimisticPort, Sweep, listen
from balancer.wire import IncomingRequest, format_load

from .connection import HttpConnection
from .descriptors import connections_at_most
from .load import LoadMeter
from .settings import ServerSettings
from .site import RouteStats, Site

_log = Logger()
# How often the texts that change slowly (date, age, latency) are written anew, in seconds.
_REFRESH_S = 0.1
# Grain of the connections' own times (seconds): they are 10 s and more.
_SLOW_TICK_S = 0.25
# How often a drain looks whether it is done (seconds).
_DRAIN_LOOK_S = 0.05


class Server(ServerFactory):
    """Serves a site on one port.

    Attributes:
        settings: limits and times.
        meter: requests in flight and latencies.
        sweep: for the deadlines of requests.
        slow_sweep: for the times of connections.
        unrouted: what is counted of requests that have no route.
        bad_messages: refused messages by status.
        draining: whether connections end after their next answer.
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
        self.site = site
        self.settings = settings
        self.seconds = clock.seconds
        self._clock = clock
        self._wall = wall
        self.meter = LoadMeter(clock.seconds())
        self.sweep = Sweep(clock)
        self.slow_sweep = Sweep(clock, _SLOW_TICK_S)
        self.unrouted = RouteStats()
        self.bad_messages: Counter[int] = Counter()
        self.draining = False
        self._connections: set[HttpConnection] = set()
        self._most = connections_at_most(settings.connections)
        self._port: OptimisticPort | None = None
        self._refresh_at = 0.0
        self._lines: dict[int, bytes] = {}

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
        """Make a connection's protocol."""
        return HttpConnection(self)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    # What connections and exchanges ask and tell.

    def admit(self, connection: HttpConnection) -> bool:
        """Count a connection; False when there are as many as allowed."""
        if len(self._connections) >= self._most:
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: HttpConnection) -> None:
        """Count a connection no more."""
        self._connections.discard(connection)

    def route(self, request: IncomingRequest) -> int | None:
        """Route a request by its head; see `Site.match`."""
        return self.site.match(request, self.seconds())

    def common_lines(self, now: float) -> bytes:
        """The header lines that every answer has; kept for a moment for each load.

        Args:
            now: monotonic seconds.
        """
        if now >= self._refresh_at:
            self._refresh_at = now + _REFRESH_S
            self._lines = {}
        in_flight = self.meter.in_flight
        lines = self._lines.get(in_flight)
        if lines is None:
            date = format_datetime(self._wall(), usegmt=True).encode("ascii")
            load = format_load(self.meter.report(now))
            lines = self._lines[in_flight] = b"Date: %b\r\nMesh-Load: %b\r\n" % (date, load)
        return lines

    def next_turn(self, function: Callable[[], None]) -> None:
        """Call a function when the other connections have had their turn."""
        self._clock.callLater(0, function)

    def refused(self, status: int) -> None:
        """Count a message that could not be used."""
        self.bad_messages[status] += 1

    def report(self, route: str, error: BaseException) -> None:
        """Log a fault that nobody foresaw: its kind and place, never its values."""
        frames = traceback.extract_tb(error.__traceback__)
        _log.error(
            "{route} failed with {kind} at {place}",
            route=route,
            kind=type(error).__qualname__,
            place=" < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames[-6:])),
        )

    # How it stops.

    def close_port(self) -> None:
        """Take no more connections."""
        if self._port is not None:
            self._port.stopListening()
            self._port = None

    def drain(self, wait_s: float) -> Deferred[bool]:
        """Finish what is here: each connection ends after its next answer, or when it lay idle.

        Args:
            wait_s: when to give up and cut what is left.

        Returns:
            Fires when no connection is left; with False when some had to be cut.
        """
        self.draining = self.meter.draining = True
        self._refresh_at = 0.0
        done: Deferred[bool] = Deferred()
        until = self.seconds() + wait_s
        # Callers close what they keep idle as soon as they see the replica leave. Others get the
        # rest of the notice: a request that is on its way must not meet a closed door.
        idle_from = self.seconds() + min(self.settings.drain_notice_s, wait_s)

        def look() -> None:
            now = self.seconds()
            if now >= idle_from:
                for connection in list(self._connections):
                    connection.close_idle()
            if not self._connections and not self.meter.in_flight:
                done.callback(True)
            elif now >= until:
                _log.warn(
                    "the drain's time is over: {count} connections are cut",
                    count=len(self._connections),
                )
                for connection in list(self._connections):
                    connection.abort()
                done.callback(False)
            else:
                self._clock.callLater(_DRAIN_LOOK_S, look)

        look()
        return done
