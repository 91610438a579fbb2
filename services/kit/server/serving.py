"""What the connections of one port share: the site, the limits, the clock, the counters."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime

from twisted.logger import Logger

from balancer import Clock
from balancer.telemetry import LoadMeter
from balancer.transport import Sweep
from balancer.wire import format_load

from ..logs import kind_of
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
    """

    def __init__(
        self, site: Site, settings: ServerSettings, clock: Clock, wall: Callable[[], datetime]
    ) -> None:
        """Begin with nothing counted.

        Args:
            site: what to serve.
            settings: limits and times.
            clock: monotonic.
            wall: now in UTC, for the Date header.
        """
        self.site = site
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
        self._refresh_at = 0.0
        self._lines: dict[int, bytes] = {}

    def begin_drain(self) -> None:
        """From now on connections end after their next answer, and answers say so."""
        self.draining = self.meter.draining = True
        self._refresh_at = 0.0

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
