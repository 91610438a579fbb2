"""What a load counts of its calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from balancer import CallError, Rejected
from balancer.telemetry import Histogram

from ..reports import LoadReport


class Tally:
    """Counts calls as they end.

    Attributes:
        calls: ended calls.
        failed: those without the service's own answer.
        rejected: those that the service refused.
        errors: both by kind.
        latency_s: of every ended call, from the instant at which it was due. Failed ones are among
            them: a percentile without the calls that waited in vain would be a kind one.
    """

    def __init__(self) -> None:
        """Begin at nought."""
        self.calls = 0
        self.failed = 0
        self.rejected = 0
        self.errors: Counter[str] = Counter()
        self.latency_s = Histogram()

    def answered(self, latency_s: float) -> None:
        """Count a good answer."""
        self.calls += 1
        self.latency_s.add(latency_s)

    def ended(self, error: BaseException, latency_s: float) -> None:
        """Count a call that ended with an error."""
        self.answered(latency_s)
        if isinstance(error, Rejected):
            self.rejected += 1
            self.errors[error.type] += 1
        else:
            self.failed += 1
            kind = error.kind if isinstance(error, CallError) else type(error).__name__
            self.errors[kind] += 1

    def percentile_ms(self, share: float) -> float:
        """The latency below which a share of all calls lies, in milliseconds."""
        return round(self.latency_s.percentile(share) * 1000, 3)

    def report(self, *, seconds: float, attempts: int, replicas: Mapping[str, int]) -> LoadReport:
        """Make the report.

        Args:
            seconds: from the first call's instant to the last answer.
            attempts: tries on replicas.
            replicas: attempts by address.
        """
        return LoadReport(
            calls=self.calls,
            failed=self.failed,
            rejected=self.rejected,
            degraded=0,  # no service answers in a degraded way yet
            attempts=attempts,
            seconds=round(seconds, 3),
            p50_ms=self.percentile_ms(0.5),
            p90_ms=self.percentile_ms(0.9),
            p99_ms=self.percentile_ms(0.99),
            p999_ms=self.percentile_ms(0.999),
            replicas=dict(replicas),
            errors=dict(self.errors.most_common()),
        )


def shares(seen: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Attempts by address.

    Args:
        seen: address and attempts of each replica that was known at any time; two of one address
            are a replica and its successor.
    """
    counts: Counter[str] = Counter()
    for address, attempts in seen:
        counts[address] += attempts
    return dict(sorted(counts.items()))
