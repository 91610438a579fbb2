"""``txmesh simulate --replay FILE``: a recorded process under another policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from balancer.policy import BalancingSettings
from balancer.simulation.replay import Comparison, Row, compare, read_records
from balancer.simulation.report import Contender

from ..output import console, table, write_json
from .running import Running
from .tables import duration, figure


def replay(path: Path, contenders: Sequence[Contender], seed: int, *, as_json: bool) -> None:
    """Replay a decision log, and print what came of it.

    Args:
        path: of the log.
        contenders: who picks; none for the default.
        seed: of everything random.
        as_json: one object for each service, instead of tables.
    """
    records = read_records(path)
    policies = [contender.settings for contender in contenders] or [BalancingSettings()]
    with Running("replaying", len(records)) as running:
        for record in records:
            running.begin(record.service)
            comparison = compare(record, policies, seed)
            if as_json:
                write_json(comparison)
            else:
                _show(comparison)


def _show(comparison: Comparison) -> None:
    screen = console()
    numbers = ("calls", "failed", "mean", "p50", "p99", "attempts/call", "same picks")
    summary = table("", "policy", "signal", *numbers, numbers=numbers)
    for row in comparison.rows:
        times = (row.mean_s, row.p50_s, row.p99_s)
        summary.add_row(
            "replayed" if row.replayed else "recorded",
            row.policy,
            row.signal,
            f"{row.calls:,}",
            f"{row.failed:,}",
            *(duration(seconds) for seconds in times),
            f"{row.attempts_per_call:.4f}",
            "-" if row.same is None else f"{row.same:.1%}",
        )
    screen.print(f"{comparison.service}: {_load(comparison)}\n")
    screen.print(summary)
    screen.print(
        f"\nSame picks: of {comparison.decisions:,} decisions, with what was known then; chance "
        f"alone would make it {comparison.same_by_chance:.1%}.\n"
    )
    rows = comparison.rows
    shares = table("replica", *map(_head, rows), numbers=tuple(map(_head, rows)))
    for address in sorted(set().union(*(row.shares for row in rows))):
        shares.add_row(address, *(f"{row.shares.get(address, 0.0):.1%}" for row in rows))
    screen.print(shares)
    screen.print()


def _head(row: Row) -> str:
    return f"{row.policy}, {row.signal}" if row.replayed else "recorded"


def _load(comparison: Comparison) -> str:
    every = comparison.every
    calls = "every call" if every == 1 else f"one call in {every:,}"
    if comparison.capacity is None:
        return f"{calls} recorded; latencies show no load, and are replayed as they were"
    return (
        f"{calls} recorded; a latency is taken to double with {figure(comparison.capacity)} "
        "attempts in flight"
    )
