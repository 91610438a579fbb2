"""What a policy would have picked where another one was recorded to pick.

A decision has what the caller knew of each replica then. Records are made of that, the policy picks
among them, and the share of times that it comes to the recorded replica is counted. Policies draw
at random, so each decision is made a few times, and the recorded policy itself is asked too: how
often that agrees with itself is the measure for the other.

What a policy remembers beyond the replicas' records is known in part: who reported when is, whose
turn it was is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from ...policy import BalancingSettings, Replica
from ...policy.pick import make_picker
from ...telemetry import AttemptEntry, CallEntry, CandidateEntry
from ...values import Endpoint
from ..scheduler import START_S

# More decisions than this, evenly chosen, tell nothing new; so often is each of them made.
_DECISIONS = 1000
_TIMES = 5


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How often a policy picks what was picked.

    Attributes:
        decisions: that could be looked at.
        share: of them.
        by_chance: what it would be if any replica were picked at random.
    """

    decisions: int
    share: float
    by_chance: float


def agreement(
    calls: Iterable[CallEntry], balancing: BalancingSettings, random: Callable[[], float]
) -> Agreement:
    """Ask a policy.

    Args:
        calls: as they were recorded.
        balancing: the policy.
        random: floats in [0, 1).
    """
    attempts = [attempt for call in calls if not call.key for attempt in call.attempts[:1]]
    chosen = [attempt for attempt in attempts if _is_whole(attempt)]
    step = max(1, -(-len(chosen) // _DECISIONS))
    chosen = chosen[::step]
    same = by_chance = 0.0
    for attempt in chosen:
        same += sum(_pick(attempt, balancing, random) == attempt.picked for _ in range(_TIMES))
        by_chance += 1 / attempt.available
    count = max(1, len(chosen))
    return Agreement(
        decisions=len(chosen), share=same / _TIMES / count, by_chance=by_chance / count
    )


def _is_whole(attempt: AttemptEntry) -> bool:
    """Whether all that could be picked is there, and the picked one was picked, not due a probe."""
    up = [candidate.address for candidate in attempt.candidates if candidate.state == "up"]
    return len(up) == attempt.available and attempt.picked in up


def _pick(attempt: AttemptEntry, balancing: BalancingSettings, random: Callable[[], float]) -> str:
    now = START_S + attempt.at_s
    # A log names the picked one first, which nobody may gain by.
    up = sorted(
        (candidate for candidate in attempt.candidates if candidate.state == "up"),
        key=lambda candidate: candidate.address,
    )
    replicas = [_replica(candidate, position, now) for position, candidate in enumerate(up)]
    picker = make_picker(balancing, random)
    picker.update(replicas)
    for replica in sorted(replicas, key=lambda replica: replica.heard_at):
        if replica.heard_at:
            picker.heard(replica, replica.heard_at)
    picker.refresh(now)
    return picker.pick(now, None).endpoint.address


def _replica(candidate: CandidateEntry, position: int, now: float) -> Replica:
    replica = Replica(Endpoint(service="", replica=candidate.replica, address=candidate.address))
    replica.position = position
    replica.weight = replica.share = candidate.weight
    replica.in_flight = candidate.in_flight
    replica.others = candidate.others
    replica.refusals = candidate.refusals
    replica.cost_s = candidate.cost_s
    replica.report_latency_s = candidate.reported_s
    # Of the latencies that were seen here only their average was recorded, not their peak.
    replica.latency_s = replica.peak_s = candidate.latency_s
    replica.peak_at = now
    if candidate.heard_s is not None:
        replica.heard_at = now - candidate.heard_s
    return replica
