"""A look at a fleet: what was known of each replica when one of them was picked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from ..policy import Fleet, Replica
from .decisions import CandidateEntry, State

# So many are told of at most: the whole of a fleet that people can look at, and a part of a larger
# one.
_MOST = 50


def look(
    fleet: Fleet,
    picked: Replica,
    compared: Sequence[Replica],
    signal: Callable[[Replica, float], float],
    now: float,
) -> list[CandidateEntry]:
    """Tell of the replicas of a fleet.

    Args:
        fleet: whose.
        picked: the one that was picked; it is told of first.
        compared: those that the pick looked at.
        signal: what counts as load.
        now: monotonic seconds.
    """
    looked_at = dict.fromkeys((picked, *islice(compared, _MOST)))
    return [
        _entry(replica, now, signal(replica, now), compared=replica in looked_at)
        for replica in islice(_in_order(looked_at, fleet, picked), _MOST)
    ]


def _in_order(looked_at: dict[Replica, None], fleet: Fleet, picked: Replica) -> Iterator[Replica]:
    """Those that were looked at, then the others, beginning after the picked one and going round.

    So the calls of a log show all of a fleet that is too large for one of them.
    """
    every: Sequence[Replica] = list(fleet.replicas.values())
    after = chain(every[picked.position + 1 :], every[: picked.position + 1])
    return chain(looked_at, (replica for replica in after if replica not in looked_at))


def _entry(replica: Replica, now: float, load: float, *, compared: bool) -> CandidateEntry:
    return CandidateEntry(
        replica=replica.endpoint.replica,
        address=replica.endpoint.address,
        version=replica.endpoint.version,
        zone=replica.endpoint.zone,
        compared=compared,
        state=_state(replica),
        weight=round(replica.weight, 4),
        in_flight=replica.in_flight,
        others=round(float(replica.others), 3),
        refusals=round(float(replica.refusals), 3),
        cost_s=round(replica.cost_s, 7),
        reported_s=round(replica.report_latency_s, 7),
        latency_s=round(replica.latency_s, 7),
        heard_s=round(now - replica.heard_at, 6) if replica.heard_at else None,
        load=round(load, 7),
    )


def _state(replica: Replica) -> State:
    if replica.draining:
        return "draining"
    if replica.ejected_until:
        return "probing" if replica.probing else "ejected"
    return "up"
