"""Who is worse than the others: the replica that fails too often, or answers too slowly.

Failures in a row find a replica that is broken; they do not find the one that fails every other
call, or that answers well but ten times as slowly as the rest. Such a one is found by comparison:
of its recent attempts (they fade over 10 s) too large a share is bad, where *bad* is either failed
or slow, and *slow* is an answer that took five times what is usual in the fleet. The rule is one:

    bad >= 5, and share = bad / attempts >= 0.2,
              and share >= 3 * (others' bad + 1) / (others' attempts + 1)

- *Shares, not means*: calls of different kinds mix in one service, and one call of 2 s among a
  hundred of 2 ms moves a mean tenfold but a share by a hundredth. By Markov's inequality at most a
  fifth of the answers of any kind and mixture takes over five times their mean: so a replica like
  the others stays below 0.2, whatever is mixed.
- *Thrice the others'*: when all fail, or all are slow, nobody stands out; from a third on nobody
  can. A common measure is the mean less 1.9 standard deviations (Envoy, "Outlier detection"), which
  means nothing for two to five replicas: of n values none is further than (n - 1) / sqrt(n)
  deviations from their mean, 1.5 for four. A share of the rest's is right for 2 and for 1,000. The
  one that is added to both of the others' numbers stands for what they have not shown yet: from two
  attempts of theirs, both good, nothing follows.
- *Five bad ones*: when 1 % of the calls fail at random, 5 of 25 do so by chance in 1 of 150,000
  windows of 10 s; in a fleet of 1,000 that is a wrong ejection in about 25 minutes, of a second.

A 4xx is the caller's fault, and a replica that answers with it is well, as a rule. But one that has
lost its configuration or its data rejects everything, quickly, and as the quickest of all draws all
calls. So rejections are compared in the same way, with a least share of a half.

And three rules for who may act on it: one replica in half a second (each makes the others' load
grow, and what that does is seen before the next); never one that would leave less than half of the
fleet, for the half that is left is what the others are measured by; and none of a fleet of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf
from statistics import median_low
from typing import NamedTuple

from .ejection import EjectionSettings
from .replica import Reason, Replica

# How long attempts count (seconds): an e-th of what was ten seconds ago.
_FADE_S = 10.0
# Fewer bad attempts than this prove nothing, as with failures in a row.
_LEAST_BAD = 5
# The least share of rejections: callers' mistakes may come in bunches, and where one replica gets
# all calls with one key it gets all mistakes with that key too.
_REJECTING = 0.5
# How many times the others' share.
_RATIO = 3.0
# Why what is found here is ejected.
OUTLIERS: frozenset[Reason] = frozenset({"success-rate", "latency", "rejections"})


class Usual(NamedTuple):
    """What latency is usual in a fleet.

    Attributes:
        latency_s: the median of the replicas' own means, in seconds; 0 while none is known.
        slow_s: answers that take longer are slow.
    """

    latency_s: float = 0.0
    slow_s: float = inf


def find_usual(replicas: Sequence[Replica], settings: EjectionSettings) -> Usual:
    """Work out what latency is usual.

    Args:
        replicas: those that are not ejected.
        settings: what is slow.
    """
    latencies = [replica.latency_s for replica in replicas if replica.latency_s]
    if not latencies:
        return Usual()
    usual_s = median_low(latencies)  # of two the faster: else none of two could ever be slow
    return Usual(usual_s, max(usual_s * settings.slow_ratio, usual_s + settings.slow_least_s))


def fade_attempts(replicas: Sequence[Replica], passed_s: float) -> None:
    """Forget some of what is counted.

    Args:
        replicas: all.
        passed_s: since it was done last.
    """
    kept = exp(-passed_s / _FADE_S)
    for replica in replicas:
        replica.answers *= kept
        replica.faults *= kept
        replica.slow *= kept
        replica.rejections *= kept


def find_outlier(replicas: Sequence[Replica], share: float) -> tuple[Replica, Reason] | None:
    """Find the one that is worst beside the others, if it is bad enough.

    Args:
        replicas: those that are not ejected.
        share: the least share of bad attempts; `EjectionSettings.outlier_share`.

    Returns:
        It and why, or None. A replica that fails is told before one that is slow, and that
        before one that rejects.
    """
    # Nearly always there is nobody to judge, and in a large fleet the sums would cost more.
    if any(replica.faults >= _LEAST_BAD for replica in replicas):
        failing = [(replica.faults, replica.answers + replica.faults) for replica in replicas]
        worst = _find_worst(failing, share)
        if worst is not None:
            return replicas[worst], "success-rate"
    if any(replica.slow >= _LEAST_BAD for replica in replicas):
        worst = _find_worst([(replica.slow, replica.answers) for replica in replicas], share)
        if worst is not None:
            return replicas[worst], "latency"
    if any(replica.rejections >= _LEAST_BAD for replica in replicas):
        rejecting = [(replica.rejections, replica.answers) for replica in replicas]
        worst = _find_worst(rejecting, max(share, _REJECTING))
        if worst is not None:
            return replicas[worst], "rejections"
    return None


def _find_worst(counts: Sequence[tuple[float, float]], share: float) -> int | None:
    """Which of many (bad, all) stands out the most; None when none does."""
    all_bad = sum(bad for bad, _ in counts)
    attempts = sum(each for _, each in counts)
    worst, most = None, 0.0
    for index, (bad, each) in enumerate(counts):
        if bad >= _LEAST_BAD:
            others = (all_bad - bad + 1) / (attempts - each + 1)
            if bad / each > most and bad / each >= max(share, _RATIO * others):
                worst, most = index, bad / each
    return worst
