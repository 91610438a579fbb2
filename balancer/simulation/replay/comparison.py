"""A recorded process under another policy: the laboratory in the place of its replicas.

The calls come when they came (each as often as it stands for), with their deadlines. The replicas
answer as they were recorded to answer around that time; see `outcomes` and `curve`. Fleets, budgets
and the call loop are the ones that run on sockets, with their default settings: a log does not tell
what else was configured.

What a log cannot tell is taken to be as it was: what other callers did, and would have done; when a
replica that the recorded policy left alone was well again; and how an attempt would have ended that
was cancelled. So the recorded policy is replayed too: how far that is from the record itself says
how far the rest is to be trusted.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import msgspec

from ...errors import ConfigError
from ...policy import BalancingSettings, signal_name
from ..result import Latencies
from .curve import capacity
from .outcomes import outcomes_by_replica
from .record import Record
from .stage import Stage
from .views import agreement

# Statuses from here on are errors, which take as long as they like.
_FAILED = 400


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded, or what one policy made of it.

    Attributes:
        policy: how replicas were picked.
        signal: what counted as load.
        replayed: False for the record itself.
        calls: how many.
        failed: of those, how many had no good answer.
        mean_s: of all latencies, those of failed calls among them; likewise the percentiles.
        p50_s: half of the calls took less.
        p99_s: 99 % did.
        attempts_per_call: retries make it more than 1.
        same: at which share of the recorded decisions it picks what was picked; None for the
            record.
        shares: of all attempts, by address.
    """

    policy: str
    signal: str
    replayed: bool
    calls: int
    failed: int
    mean_s: float
    p50_s: float
    p99_s: float
    attempts_per_call: float
    same: float | None
    shares: Mapping[str, float]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One service's record, replayed.

    Attributes:
        service: its name.
        every: one call in so many was recorded; the others are made up, evenly between them.
        capacity: attempts in flight at which a latency has doubled; None when no such thing can be
            seen, and latencies are replayed as they were.
        decisions: that policies were asked about.
        same_by_chance: the share of them at which a pick at random would have been the same.
        rows: the record, the recorded policy, and those that were asked for.
    """

    service: str
    every: int
    capacity: float | None
    decisions: int
    same_by_chance: float
    rows: Sequence[Row]


def compare(record: Record, policies: Iterable[BalancingSettings], seed: int) -> Comparison:
    """Replay one service's record.

    Args:
        record: as it was read.
        policies: those to replay it under.
        seed: of everything random.

    Raises:
        ConfigError: it was recorded under a policy that is not known here.
    """
    outcomes = outcomes_by_replica(record)
    slower = capacity(
        [(end.load, end.latency_s) for end in ends if 0 < end.status < _FAILED]
        for ends in outcomes.values()
    )
    rows = [_recorded(record)]
    # By name, so that the recorded policy is replayed once.
    different = {
        (balancing.policy, signal_name(balancing)): balancing
        for balancing in (_own(record), *policies)
    }
    for balancing in different.values():
        stage = Stage(record, outcomes, slower, balancing, seed)
        source = random.Random(f"{seed}:views")  # noqa: S311 - simulations repeat themselves
        seen = agreement(record.calls, balancing, source.random)
        rows.append(_replayed(stage, seen.share))
    return Comparison(
        service=record.service,
        every=record.every,
        capacity=slower if isfinite(slower) else None,
        decisions=seen.decisions,
        same_by_chance=seen.by_chance,
        rows=rows,
    )


def _own(record: Record) -> BalancingSettings:
    """The policy under which it was recorded."""
    call = record.calls[0]
    try:
        return msgspec.convert(
            {"policy": call.policy, "signal": call.signal}, BalancingSettings, strict=True
        )
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{record.service} was recorded under {call.policy!r} on {call.signal!r}, which this "
            f"txmesh does not know: {error}"
        ) from error


def _recorded(record: Record) -> Row:
    calls = record.calls
    latencies = Latencies(array("d", (call.latency_s for call in calls)))
    picked = Counter(attempt.picked for attempt in record.attempts())
    return Row(
        policy=calls[0].policy,
        signal=calls[0].signal,
        replayed=False,
        calls=len(calls),
        failed=sum(bool(call.error) for call in calls),
        mean_s=latencies.mean_s,
        p50_s=latencies.percentile(0.5),
        p99_s=latencies.percentile(0.99),
        attempts_per_call=picked.total() / len(calls),
        same=None,
        shares=_shares(picked),
    )


def _replayed(stage: Stage, same: float) -> Row:
    stage.trial.run()
    result = stage.trial.result()
    return Row(
        policy=result.policy,
        signal=result.signal,
        replayed=True,
        calls=result.calls,
        failed=result.failed,
        mean_s=result.mean_s,
        p50_s=result.p50_s,
        p99_s=result.p99_s,
        attempts_per_call=result.attempts_per_call,
        same=same,
        shares=_shares({address: server.attempts for address, server in stage.servers.items()}),
    )


def _shares(attempts: Mapping[str, int]) -> dict[str, float]:
    total = max(1, sum(attempts.values()))
    return {address: count / total for address, count in sorted(attempts.items())}
