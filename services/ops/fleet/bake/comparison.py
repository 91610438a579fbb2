"""Whether a new version is worse than the old one, from what both answered meanwhile. Pure.

*Errors.* The old replicas say how many errors are normal: their ratio by the rule of succession,
(errors + 1) / (requests + 2), so that few requests prove little, plus a margin of 1 %. How likely
would as many errors as the new ones made be at that ratio? Chernoff's bound says: at most exp(-n d)
for n requests, d being the relative entropy of the two ratios. It is a bound, so it never cries
wolf more often than it says, and needs no table: below one in a thousand, with three errors at
least, the new version is worse. One that fails every call is found out at its third.

*Shunning.* Callers may be quicker: they eject what fails, and then nothing more is seen of it. So a
version that got two errors at least, as many as half of its requests, and not a tenth of its share
beside the old one, is worse as well.

*Latency.* The same high quantile of both, in the same seconds on the same machines: more than three
times as long, and more than 50 ms longer, is worse. The first calls of a cold process are slow,
so that takes 100 requests on each side (the 90th percentile), and 1,000 for the 99th.
"""

from __future__ import annotations

from math import exp, log

import msgspec

_MARGIN = 0.01
_LEAST_ERRORS = 3
_CHANCE = 0.001
_TIMES = 3.0
_LONGER_S = 0.05
_FEW, _MANY = 100, 1000
_SHUNNED = 0.1


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What some replicas answered, since they started or within a time.

    Attributes:
        requests: answered ones.
        errors: those answered with a 5xx.
        seconds: the sum of their latencies.
        buckets: how many took at most so long, by the bound in seconds; each bound's count has
            those below in it, as Prometheus has it.
    """

    requests: float = 0.0
    errors: float = 0.0
    seconds: float = 0.0
    buckets: dict[float, float] = {}

    def plus(self, other: Figures, sign: float = 1.0) -> Figures:
        """Both together.

        Args:
            other: of replicas with the same bounds; one without requests has none.
            sign: -1 to take the other away.
        """
        bounds = self.buckets.keys() | other.buckets.keys()
        return Figures(
            requests=self.requests + sign * other.requests,
            errors=self.errors + sign * other.errors,
            seconds=self.seconds + sign * other.seconds,
            buckets={
                bound: self.buckets.get(bound, 0.0) + sign * other.buckets.get(bound, 0.0)
                for bound in sorted(bounds)
            },
        )

    def quantile_s(self, share: float) -> float:
        """The latency that a share of the requests did not exceed, in seconds; 0 without any."""
        total = max(self.buckets.values(), default=0.0)
        below, least = 0.0, 0.0
        for bound, count in self.buckets.items():
            if count >= share * total > 0:
                if bound == float("inf") or count == below:
                    return least
                return least + (bound - least) * (share * total - below) / (count - below)
            below, least = count, bound
        return 0.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """New against old over the same time.

    Attributes:
        seconds: how long.
        new: what the new ones answered.
        old: what the old ones answered.
        fair: how many requests the new ones were to get for one of the old ones', by their weights.
    """

    seconds: float
    new: Figures
    old: Figures
    fair: float = 1.0


def fault(comparison: Comparison) -> str:
    """What is worse about the new ones; "" when nothing is known to be."""
    new, old = comparison.new, comparison.old
    usual = (old.errors + 1) / (old.requests + 2) + _MARGIN
    improbable = _chance(new.errors, new.requests, usual) < _CHANCE
    shunned = new.requests < _SHUNNED * comparison.fair * old.requests
    if (new.errors >= _LEAST_ERRORS and improbable) or (
        new.errors >= 2 and new.errors >= new.requests / 2 and shunned
    ):
        return (
            f"{new.errors:.0f} of {new.requests:.0f} requests failed in the new version, "
            f"{old.errors:.0f} of {old.requests:.0f} in the old one"
        )
    requests = min(new.requests, old.requests)
    if requests < _FEW:
        return ""
    share = 0.99 if requests >= _MANY else 0.9
    new_s, old_s = new.quantile_s(share), old.quantile_s(share)
    if new_s > _TIMES * old_s and new_s > old_s + _LONGER_S:
        return (
            f"p{100 * share:.0f} is {1000 * new_s:.0f} ms in the new version, "
            f"{1000 * old_s:.0f} ms in the old one"
        )
    return ""


def _chance(errors: float, requests: float, usual: float) -> float:
    """At most how likely so many errors are, when the ratio is the usual one."""
    ratio = errors / requests if requests else 0.0
    if ratio <= usual:
        return 1.0
    entropy = ratio * log(ratio / usual)
    if ratio < 1:
        entropy += (1 - ratio) * log((1 - ratio) / (1 - usual))
    return exp(-requests * entropy)
