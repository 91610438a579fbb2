"""What is held against a replica that refuses or fails: it must not look idle because it is quick.

A replica that says no at once has nothing in flight, and by its load alone would draw every call.
So each refusal and failure counts like attempts in flight, fading; how many depends on what the
others do.

- *Most do not refuse*: then the others have room, and it has none, or is broken without saying so.
  It is held to be six times as busy as the busiest (who counts as two attempts busier than it
  is), and is tried again when that has faded to the others' load. With a time constant of 20 s that
  is after 20 s * ln 6 = 36 s beside others with very much to do, and after up to 75 s beside idle
  ones, who do not need it. A good answer takes most of it back.
- *Half or more refuse*: then the service is overloaded, the calls have to go somewhere, and a
  refusal counts as one attempt. Not much more than the busiest replica's load (as its cost weighs
  it) is held against anybody for longer than a step: it would not turn more calls away now, and
  when the overload is over it would leave some of them idle.

Ejecting would not do: it makes the others busier, and what is ejected has no share at all, where a
replica that is only busy should have a small one. Failures count as one each, because they have
their own remedy: five in a row eject.

The measure was the published figure for a replica that answers 503 at once: 40 extra tries in
45,000 calls of ten callers (palantir/dialogue's simulation; there, too, a failure counts as many
calls and fades in half a minute).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp

from .replica import Replica

_FADE_S = 20.0
_FORGOTTEN = 0.1
_TIMES = 6.0
# So many attempts at the least, where nobody is busy: a pick looks at whole attempts.
_LEAST = 2.0
# What is held against a replica in an overload at the most, in the busiest one's loads: a little
# more than that load itself, because it fades until the next step, and some picks want a lead.
_LEAD = 1.25
# A good answer leaves so much of it: a replica that refuses every other call then has a small
# share, and one that refused once is soon back.
_LEFT = 0.25


def hold_refusal(replica: Replica, every: Iterable[Replica]) -> None:
    """Hold a refusal against a replica.

    Args:
        replica: who refused.
        every: all of the fleet. Cost: a look at each.
    """
    refusing = others = 0
    busiest = 0.0
    for other in every:
        if other is not replica:
            others += 1
            refusing += other.refusals > 0
            busiest = max(busiest, (other.others + other.in_flight) * other.cost_s)
    if 2 * refusing >= others:
        replica.refusals += 1
    else:
        # Not summed up: several refusals at one moment tell no more than one.
        held = _TIMES * (busiest / replica.cost_s + _LEAST)
        replica.refusals = max(replica.refusals, held)


def hold_failure(replica: Replica) -> None:
    """Hold a failure against a replica."""
    replica.refusals += 1


def forgive(replica: Replica) -> None:
    """Take most of it back, for a good answer."""
    left = replica.refusals * _LEFT
    replica.refusals = left if left > _FORGOTTEN else 0


def fade_refusals(replicas: Sequence[Replica], passed_s: float) -> None:
    """Forget some of what is held against replicas.

    Args:
        replicas: all.
        passed_s: since it was done last.
    """
    refusing = sum(replica.refusals > 0 for replica in replicas)
    if not refusing:
        return
    kept = exp(-passed_s / _FADE_S)
    overloaded = 2 * refusing > len(replicas)
    most_s = _LEAD * max((replica.in_flight + 1) * replica.cost_s for replica in replicas)
    for replica in replicas:
        if replica.refusals:
            held = replica.refusals
            if overloaded:
                held = min(held, most_s / replica.cost_s)
            held *= kept
            replica.refusals = held if held > _FORGOTTEN else 0
