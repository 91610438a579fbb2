"""What a caller counts of the calls that it makes to one service."""

from __future__ import annotations

from collections import Counter

from .histogram import Histogram


class CallStats:
    """Counters of one service as this process calls it.

    Attributes:
        service: the service's name.
        calls: ended calls.
        attempts: begun attempts; those beyond ``calls`` are retries and hedges.
        hedges: attempts that were begun while another of the same call ran.
        throttled: calls that were not sent, because the service refused nearly all.
        probes: load probes sent.
        failures: ended calls without the service's own answer, by the error's kind.
        rejected: ended calls that the service refused with its own 4xx.
        latency_s: from the call to its end, in seconds.
        health: changes of health, by what changed ("ejected", "restored", "kept") and why.
    """

    __slots__ = (
        "attempts",
        "calls",
        "failures",
        "health",
        "hedges",
        "latency_s",
        "probes",
        "rejected",
        "service",
        "throttled",
    )

    def __init__(self, service: str) -> None:
        """Begin at nought."""
        self.service = service
        self.calls = 0
        self.attempts = 0
        self.hedges = 0
        self.throttled = 0
        self.probes = 0
        self.failures: Counter[str] = Counter()
        self.rejected = 0
        self.latency_s = Histogram()
        self.health: Counter[tuple[str, str]] = Counter()
