"""Who says nothing at all: the replica that is frozen.

A stopped process (SIGSTOP, a machine that swaps, a handler that blocks for good) gives no error.
Its kernel still takes connections and requests, so its callers learn of it only as each attempt's
share of a deadline runs out, one after the other: seconds, for what could be known in a fraction.

It is known by the absence of any progress. Ten times a second the fleet is looked over (more
seldom where calls take long). A replica is *silent* at a look when calls have waited for it since
the look before and nothing has come from it. At the second such look in a row it is asked for its
load, which costs a replica nothing and which it answers at once, whatever it has to do
(`balancer.dispatch.probe`): a single slow call thus ends no replica's career, because the one that
works on it says so. When two more looks pass without a word, it is ejected. So a frozen replica is
left out 0.3 to 0.4 s after the first call that it swallowed, whatever the deadlines are.

Two rules keep it from seeing ghosts. Looks are counted, not seconds: when this process itself was
held up, it has missed what others said, and that is one look, however long it was. And somebody
else must not be silent: when nobody answers, the fault is ours or the network's.

Source: own. The idea that a detector should measure progress and not single answers is that of phi
accrual (Hayashibara and others, "The phi accrual failure detector", 2004); it needs regular
heartbeats, which calls are not.
"""

from __future__ import annotations

from collections.abc import Sequence

from .replica import Replica

# ``Replica.silent`` counts looks up to these.
_SUSPECT = 2
_ASKED = 3
_FROZEN = 5
# From the first look at which a replica is silent to the one at which it is frozen.
_LOOKS = 3
# Times the usual latency between two looks: then silence is 9 to 12 times what is usual, which one
# long job before all others reaches with a chance of 1 in 8,000 (exponential service times).
_LATENCIES = 3.0


def look_period_s(silence_s: float, usual_s: float) -> float:
    """How long to wait until the next look.

    Args:
        silence_s: see `EjectionSettings`.
        usual_s: the usual latency; 0 while none is known.
    """
    return max(silence_s / _LOOKS, usual_s * _LATENCIES)


def look_for_silent(replicas: Sequence[Replica]) -> list[Replica]:
    """Take a look: count on for those of which nothing was heard.

    Args:
        replicas: those that are not ejected.

    Returns:
        Those that should be asked for their load; `asked` is to be told.
    """
    suspects = []
    for replica in replicas:
        silent = replica.silent
        # Once silent only a word ends it: the calls may have been given up meanwhile.
        if (silent or replica.in_flight) and silent != _SUSPECT:
            replica.silent = silent = silent + 1
        if silent == _SUSPECT:
            suspects.append(replica)
    return suspects


def asked(replica: Replica) -> None:
    """Take note that a suspect is being asked: from now on silence counts against it."""
    if replica.silent == _SUSPECT:
        replica.silent = _ASKED


def find_frozen(replicas: Sequence[Replica]) -> list[Replica]:
    """Those that have been silent for too long, while others were not."""
    frozen = [replica for replica in replicas if replica.silent >= _FROZEN]
    if frozen and all(replica.silent >= _SUSPECT for replica in replicas):
        return []
    return frozen
