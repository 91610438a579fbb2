"""What a scenario comes to."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario under one policy.

    Attributes:
        scenario: its name.
        policy: how replicas were picked.
        signal: what counted as load.
        seed: of everything random.
        replicas: how many.
        clients: processes that called, each with a view of its own.
        load: in the scenario's own terms.
        calls: that were measured.
        failed: of those, how many had no good answer.
        mean_s: of all latencies, those of failed calls among them; likewise the percentiles.
        p50_s: half of the calls took less.
        p99_s: 99 % did.
        p999_s: 99.9 % did.
        attempts_per_call: retries and hedges make it more than 1.
        probes_per_call: load probes.
        details: figures of this scenario alone.
        series: values by name, one for each second since the beginning.
    """

    scenario: str
    policy: str
    signal: str
    seed: int
    replicas: int
    clients: int
    load: float
    calls: int
    failed: int
    mean_s: float
    p50_s: float
    p99_s: float
    p999_s: float
    attempts_per_call: float
    probes_per_call: float
    details: Mapping[str, float] = {}
    series: Mapping[str, Sequence[float]] = {}


class Latencies:
    """Exact percentiles of many values.

    Attributes:
        mean_s: their mean; 0.0 when there is none.
    """

    def __init__(self, values_s: array[float]) -> None:
        """Take values, in seconds."""
        self._sorted: Sequence[float] = sorted(values_s)
        self.mean_s = sum(self._sorted) / len(self._sorted) if self._sorted else 0.0

    def percentile(self, share: float) -> float:
        """The value that a share of all is not above; 0.0 when there is none.

        Args:
            share: 0.99 for p99.
        """
        values = self._sorted
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0

    def above(self, limit_s: float) -> float:
        """The share of values above a limit."""
        return 1 - bisect_right(self._sorted, limit_s) / len(self._sorted) if self._sorted else 0.0
