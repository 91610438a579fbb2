"""How loaded does a replica seem? From its record to a number, the less the better.

Each number says what one more call would weigh there, so any pick that compares replicas works with
any signal. What is in flight counts for as much more as the replica weighs less; the one call does
not, because picks draw by weight already, and while all are idle a light one would get nothing.

- *in-flight*: this process's own attempts. No message, never stale, and it rises by itself on a
  replica that has stopped answering; but a process that sends little knows little of the others'.
- *peak-ewma*: own latency, an average that rises at once and falls slowly, times own attempts.
  Source: Finagle, "Aperture load balancers" and its peak EWMA metric, whose decay of 10 s is used.
- *reported*: requests that the replica itself reports, corrected by what this process has begun
  and ended since.
- *latency*: the latency that the replica reports for about its present load; before its first
  report, what a request costs elsewhere.
- *expected*: reported requests times what one costs there. The load goes stale in the time of a
  request; the cost, which tells a fast replica from a slow one, does not, and so even a report of a
  minute ago is worth something. The cost is the reported latency by the *square root* of the load
  at which it was seen. Where requests share a processor, latency grows with the load, and by the
  load itself would be right; where they wait for others, it does not grow at all, and then the
  replica with most calls would seem the cheapest and draw all the rest (laboratory, eleven equal
  replicas of constant latency: shares from 0.06 to 10 times the mean). The root lies between: there
  shares stay within 1 %, and where processors are shared it costs nothing. Source: own; see
  docs/explanation.

A recent refusal or failure counts like an attempt in flight under all of them: a replica that fails
fast would otherwise always look idle, and draw every call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp
from types import MappingProxyType
from typing import TypeAlias

from .replica import Replica

Signal: TypeAlias = Callable[[Replica, float], float]

# Peak EWMA forgets with this time constant (seconds), Finagle's default.
_PEAK_DECAY_S = 10.0
# What an attempt on a replica of unknown latency weighs under peak EWMA (seconds): so much that no
# second one goes there until the first has told.
_UNKNOWN_PEAK_S = 1000.0


def in_flight(replica: Replica, _now: float) -> float:
    """Own attempts in flight."""
    return (replica.in_flight + replica.refusals) / replica.weight + 1


def peak_ewma(replica: Replica, now: float) -> float:
    """Own peak latency, faded since it was last seen, times own attempts."""
    load = (replica.in_flight + replica.refusals) / replica.weight
    if not replica.peak_s:
        return _UNKNOWN_PEAK_S * load
    faded_s = replica.peak_s * exp((replica.peak_at - now) / _PEAK_DECAY_S)
    return faded_s * (load + 1)


def observe_peak(replica: Replica, latency_s: float, now: float) -> None:
    """Take note of an own attempt's latency, for `peak_ewma`."""
    if latency_s > replica.peak_s:
        replica.peak_s = latency_s
    else:
        kept = exp((replica.peak_at - now) / _PEAK_DECAY_S)
        replica.peak_s = replica.peak_s * kept + latency_s * (1 - kept)
    replica.peak_at = now


def reported(replica: Replica, _now: float) -> float:
    """Requests in flight of all callers."""
    return (replica.others + replica.in_flight + replica.refusals) / replica.weight + 1


def latency(replica: Replica, _now: float) -> float:
    """The replica's own latency of late."""
    latency_s = replica.report_latency_s or replica.cost_s
    return latency_s * (1 + replica.refusals / replica.weight)


def expected(replica: Replica, _now: float) -> float:
    """How long one more call would take, in seconds."""
    load = (replica.others + replica.in_flight + replica.refusals) / replica.weight
    return (load + 1) * replica.cost_s


SIGNALS: Mapping[str, Signal] = MappingProxyType(
    {
        "in-flight": in_flight,
        "peak-ewma": peak_ewma,
        "reported": reported,
        "latency": latency,
        "expected": expected,
    }
)
