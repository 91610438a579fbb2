"""What changes as time passes: old reports fade, the young grow up.

Worked out for the whole fleet twice a second, so that a pick finds plain numbers.

*Reports* fade as news of the others comes in. A replica that nobody picks reports nothing new, and
what was last heard of it, good or bad, would be believed for ever: so its cost drifts to what is
typical, its load to nought, and its latency to what goes with these. The measure is the number of
reports heard since, not time alone: a caller who makes ten calls a second to a hundred replicas
hears of each every ten seconds, and needs what it learned a minute ago.

A replica that has calls of ours and has told nothing for half as long again as calls usually take
is another matter: it answers late or never, others send to it as we do, and its load is the higher
the longer that lasts.

*The young* take less until they are warm: a process that has just started has cold caches and fresh
connections, and its full share of the calls at once makes it the slow one. Its weight grows evenly
from a tenth over the warm-up. Source: Envoy, "Slow start mode", whose least weight is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median_low

from .replica import UNHEARD_COST_S, Replica

# How often (seconds).
STEP_S = 0.5

# A report fades over 100 reports for each replica of the fleet, but in no less than 10 s; the
# load in it, which changes faster than the cost, ten times as fast.
_REPORTS_EACH = 100.0
_FADE_S = 10.0
_LOAD_FADES = 10.0
# No fading while reports are this young (seconds).
_NEWS_S = 1.0
# Times the usual latency.
_LATE = 1.5
# The weight of a replica that has just started.
_LEAST_WEIGHT = 0.1


def fade_reports(
    replicas: Sequence[Replica], now: float, passed_s: float, heard: int, usual_s: float
) -> None:
    """Let what was heard of replicas a while ago drift to what is typical.

    Args:
        replicas: all.
        now: monotonic seconds.
        passed_s: since it was done last.
        heard: reports since then.
        usual_s: the usual latency; 0 while none is known.
    """
    costs = [replica.cost_s for replica in replicas if replica.heard_at]
    if not costs:
        return
    typical_s = median_low(costs)
    drift = min(passed_s / _FADE_S, heard / (_REPORTS_EACH * len(replicas)))
    left = 1 - min(1.0, drift * _LOAD_FADES)
    late = now - _LATE * usual_s
    for replica in replicas:
        if not replica.heard_at:
            replica.cost_s = typical_s
            replica.others *= left
        elif usual_s and replica.in_flight and replica.heard_at < late:
            replica.others += replica.in_flight
        elif replica.answered_at < now - _NEWS_S:
            # By answers, for a load probe may bring no more than a cost of long ago.
            replica.cost_s += (typical_s - replica.cost_s) * drift
            if replica.heard_at < now - _NEWS_S:
                replica.others *= left
                # The latency goes after both.
                now_s = replica.cost_s * sqrt(replica.others + replica.in_flight + 1)
                replica.report_latency_s += (now_s - replica.report_latency_s) * drift


def weigh(replicas: Sequence[Replica], now: float, warmup_s: float) -> bool:
    """Work out what each should take of the calls; the heaviest weighs 1.

    Args:
        replicas: all.
        now: monotonic seconds.
        warmup_s: how long a replica is young, in seconds; 0 for never.

    Returns:
        Whether any is still young.
    """
    young = False
    heaviest = 0.0
    for replica in replicas:
        weight = replica.share
        age_s = now - replica.born
        if age_s < warmup_s:
            young = True
            weight *= max(_LEAST_WEIGHT, age_s / warmup_s)
        replica.weight = weight
        heaviest = max(heaviest, weight)
    if heaviest != 1.0:
        for replica in replicas:
            replica.weight /= heaviest
    return young


def first_report(replicas: Sequence[Replica], cost_s: float) -> None:
    """Take the first report of all as what is typical: nobody else must seem slow beside it."""
    for replica in replicas:
        if replica.cost_s == UNHEARD_COST_S:
            replica.cost_s = cost_s
