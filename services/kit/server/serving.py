"""What the connections of one port share: the site, the limits, the clock, the counters."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime

from msgspec.structs import replace
from twisted.logger import Logger

from balancer import Clock
from balancer.telemetry import LoadMeter
from balancer.transport import Sweep
from balancer.wire import format_load

from ..logs import kind_of
from .peers import Peers
from .settings import ServerSettings
from .site import RouteStats, Site

_log = Logger()
# How often the texts that change slowly (date, age, latency) are written anew, in seconds.
_REFRESH_S = 0.1
# Grain of the connections' own times (seconds): they are 10 s and more.
_SLOW_TICK_S = 0.25


class Serving:
    """See the module.

    Attributes:
        site: what is served.
        host: the service's name, as the mesh's callers send it in ``Host``; b"" for whoever may
            be called by any name.
        settings: limits and times.
        clock: monotonic.
        seconds: the clock's.
        meter: requests in flight and latencies.
        sweep: for the deadlines of requests.
        slow_sweep: for the times of connections.
        probes: load probes answered.
        unrouted: what is counted of requests that have no route.
        bad_messages: refused messages by status.
        draining: whether connections end after their next answer.
        surplus: so many connections more end after their next answer.
        peers: the other processes of the same replica, if there are any.
    """

    def __init__(
        self,
        site: Site,
        settings: ServerSettings,
        clock: Clock,
        wall: Callable[[], datetime],
        service: str = "",
    ) -> None:
        """Begin with nothing counted.

        Args:
            site: what to serve.
            settings: limits and times.
            clock: monotonic.
            wall: now in UTC, for the Date header.
            service: whose replica it is; "" for what is no replica, such as an admin port.
        """
        self.site = site
        self.host = service.encode("ascii")
        self.settings = settings
        self.clock = clock
        self.seconds = clock.seconds
        self._wall = wall
        self.meter = LoadMeter(clock.seconds())
        self.probes = 0
        self.sweep = Sweep(clock)
        self.slow_sweep = Sweep(clock, _SLOW_TICK_S)
        self.unrouted = RouteStats()
        self.bad_messages: Counter[int] = Counter()
        self.draining = False
        self.surplus = 0
        self.peers: Peers | None = None
        self._in_peers = 0
        self._refresh_at = 0.0
        self._lines: dict[int, bytes] = {}

    def begin_drain(self, *, leaving: bool) -> None:
        """From now on connections end after their next answer.

        Args:
            leaving: whether answers tell callers that the replica leaves.
        """
        self.draining = True
        self.meter.draining = self.meter.draining or leaving
        self._refresh_at = 0.0

    def keeps(self) -> bool:
        """Whether the connection that is answered now may stay."""
        if self.surplus:
            self.surplus -= 1
            return False
        return not self.draining

    def common_lines(self, now: float) -> bytes:
        """The header lines that every answer has; kept for a moment for each load.

        Args:
            now: monotonic seconds.
        """
        if now >= self._refresh_at:
            self._refresh_at = now + _REFRESH_S
            self._lines = {}
            if self.peers is not None:
                self._in_peers = self.peers.elsewhere(self.meter.in_flight)
        in_flight = self.meter.in_flight
        lines = self._lines.get(in_flight)
        if lines is None:
            date = format_datetime(self._wall(), usegmt=True).encode("ascii")
            report = self.meter.report(now)
            if self._in_peers:
                # Callers compare whole replicas.
                report = replace(report, in_flight=in_flight + self._in_peers)
            load = format_load(report)
            lines = self._lines[in_flight] = b"Date: %b\r\nMesh-Load: %b\r\n" % (date, load)
        return lines

    def is_misdirected(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request is another service's: its caller has an old address.

        Ports are used again, on one machine within minutes. Only calls of the mesh are looked at,
        and only plain names: whoever comes by an address, through a proxy, or with a name of DNS
        may call this replica what he likes.

        Args:
            headers: by lower-case name.
        """
        if not self.host or b"mesh-caller" not in headers:
            return False
        host = headers.get(b"host", b"").lower()
        if host in (self.host.lower(), b"localhost", b""):
            return False
        return b"." not in host and b":" not in host

    def next_turn(self, function: Callable[[], None]) -> None:
        """Call a function when the other connections have had their turn."""
        self.clock.callLater(0, function)

    def refused(self, status: int) -> None:
        """Count a message that could not be used."""
        self.bad_messages[status] += 1

    def report(self, route: str, error: BaseException) -> None:
        """Log a fault that nobody foresaw: its kind and place, never its values."""
        frames = traceback.extract_tb(error.__traceback__)
        _log.error(
            "{route} failed with {kind} at {place}",
            route=route,
            kind=kind_of(error),
            place=" < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames[-6:])),
        )
