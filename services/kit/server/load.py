"""What a replica says of its own load on every answer.

Latency is kept by the number of requests in flight, because 3 ms at 2 in flight and 3 ms at 200 are
different messages: the report tells how long requests took of late at about the present load.
"""

from __future__ import annotations

from balancer.wire import LoadReport, format_load

# Weight of the newest latency: 1/16 forgets half in 11 requests, so a change shows at once.
_NEWEST = 1 / 16


class LoadMeter:
    """Counts requests in flight and learns latencies by load.

    Attributes:
        in_flight: requests begun and not answered.
        draining: whether to say that the replica is leaving.
    """

    __slots__ = ("_age_s", "_by_load", "_lines", "_started", "draining", "in_flight")

    def __init__(self, now: float) -> None:
        """Begin idle.

        Args:
            now: when the replica started, in monotonic seconds.
        """
        self._started = now
        self._age_s = 0
        self.in_flight = 0
        self.draining = False
        # Index b: the mean latency (seconds) of requests that began with 2**(b-1)..2**b - 1 others.
        self._by_load = [0.0] * 32
        self._lines: dict[int, bytes] = {}

    def ended(self, latency_s: float) -> None:
        """Take note of an answered request."""
        index = self.in_flight.bit_length()
        self.in_flight -= 1
        known = self._by_load[index]
        self._by_load[index] = known + (latency_s - known) * _NEWEST if known else latency_s

    def line(self) -> bytes:
        """The ``Mesh-Load`` header line; the same text until `refresh` for the same load."""
        line = self._lines.get(self.in_flight)
        return self._write() if line is None else line

    def refresh(self, now: float) -> None:
        """Let the texts be written anew: ages and latencies have changed.

        Args:
            now: monotonic seconds.
        """
        self._lines = {}
        self._age_s = int(now - self._started)

    def _write(self) -> bytes:
        report = LoadReport(
            in_flight=self.in_flight,
            latency_ms=self._by_load[self.in_flight.bit_length()] * 1000,
            age_s=self._age_s,
            draining=self.draining,
        )
        line = self._lines[self.in_flight] = b"Mesh-Load: %b\r\n" % format_load(report)
        return line
