"""Shows the results: a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .memory import Memory
from .picks import REFERENCE, Cost
from .registry import CALLERS, REPLICAS, Watching
from .summary import Row, Samples, Verdict, rows, verdicts
from .workers import WorkersRow

_PEERS = ("twisted", "treq", "httptools", "msgspec", "uvicorn", "fastapi", "aiohttp", "grpcio")
_HEADS = (
    "part", "peer", "calls/s", "caller us", "server us", "busy", "lowest", "highest", "x ours"
)  # fmt: skip
_PICK_HEADS = (
    "policy", "replicas", "pick ns", "answer ns", "probe ns", "x random", "half second us"
)  # fmt: skip
_WEIGHT_HEADS = (
    "replicas", "entry", "endpoint", "record", "fleet", "fleet in part", "update us", "in part us"
)  # fmt: skip
_WATCH_HEADS = ("callers", "core %", "Redis core %", "changes", "usual ms", "slowest ms")
_WORKERS_HEADS = (
    "handler", "workers", "calls/s", "server us", "load us", "load share", "cores busy",
    "x one worker", "least", "greatest", "x by CPU",
)  # fmt: skip
# With 32 in flight one side should always have work. If neither has, calls wait for something that
# is no work (a timer of the kernel, a neighbour on the core), and the row measures that.
_BUSY_RATIO = 0.8


def setting() -> dict[str, Any]:
    """On what it was measured."""
    return {
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "uvloop": "installed, not used" if find_spec("uvloop") else "not installed",
        "versions": {name: version(name) for name in _PEERS},
    }


def show(samples: Samples) -> None:
    """Print the table and the promises."""
    console = Console(highlight=False)
    console.width = max(console.width, 100)  # a cut name is worse than a wrapped line
    found = rows(samples)
    table = [_cells(row) for row in found]
    if console.is_terminal:
        pretty = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for head in _HEADS:
            justify: Literal["left", "right"] = "left" if head in _HEADS[:2] else "right"
            pretty.add_column(head, justify=justify, no_wrap=True)
        for number, cells in enumerate(table):
            last = number + 1 == len(table) or table[number + 1][0] != cells[0]
            pretty.add_row(*cells, end_section=last)
        console.print(pretty)
    else:
        _print_plain([_HEADS, *table], texts=2)
    for row in found:
        if row.busy_ratio < _BUSY_RATIO:
            print(
                f"\nDo not trust {row.part}, {row.peer}: neither side was busy, so something else "
                "held its calls up."
            )
    print()
    for verdict in verdicts(samples):
        print(_sentence(verdict))
    facts = setting()
    peers = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    print(f"\nPython {facts['python']}, {facts['cores']} cores; {peers}; uvloop {facts['uvloop']}")


def _cells(row: Row) -> tuple[str, ...]:
    unit = ",.0f" if row.part == "pair" else ",.1f"
    return (
        row.part,
        row.peer,
        f"{row.calls_per_s:,.0f}",
        f"{row.caller_us:,.1f}",
        f"{row.server_us:,.1f}",
        f"{row.busy_ratio:.0%}",
        format(row.least, unit),
        format(row.greatest, unit),
        "-" if row.against_ours is None else f"{row.against_ours:.2f}",
    )


def show_picks(costs: list[Cost]) -> None:
    """Print what picks cost."""
    random_ns = {cost.replicas: cost.pick for cost in costs if cost.variant == REFERENCE}
    table = [
        (
            cost.variant,
            f"{cost.replicas:,}",
            f"{cost.pick:,.0f}",
            f"{cost.answer:,.0f}",
            f"{cost.probe:,.0f}",
            f"{cost.pick / random_ns[cost.replicas]:.1f}",
            f"{cost.half_second / 1000:,.0f}",
        )
        for cost in costs
    ]
    print()
    _print_plain([_PICK_HEADS, *table], texts=1)


def show_memory(memory: Memory) -> None:
    """Print what replicas and connections weigh."""
    table = [
        (
            f"{weight.replicas:,}",
            *(f"{each:,.0f}" for each in weight[1:]),
        )
        for weight in memory.weights
    ]
    connected = memory.connected
    print("\nbytes a replica in a caller, and the time of an update of the whole service:")
    _print_plain([_WEIGHT_HEADS, *table], texts=0)
    print(f"\na followed service without a replica: {memory.service:,.0f} bytes")
    print(
        f"an idle connection: {connected.caller_bytes:,.0f} bytes at the caller, "
        f"{connected.server_bytes:,.0f} at the replica, {connected.kernel_bytes / 2:,.0f} in the "
        "kernel at each end"
    )
    print(
        "CPU us, caller and replica: a request that has to connect "
        f"{connected.cold_caller_us:.0f} and {connected.cold_server_us:.0f}, one that need not "
        f"{connected.warm_caller_us:.0f} and {connected.warm_server_us:.0f}, a load probe "
        f"{connected.probe_caller_us:.0f} and {connected.probe_server_us:.0f}"
    )


def show_registry(watching: Watching) -> None:
    """Print what watching costs, and whether its promises were kept."""
    table = [
        (
            str(watched.callers),
            f"{watched.core_ratio:.2%}".rstrip("%"),
            f"{watched.redis_ratio:.2%}".rstrip("%"),
            str(len(watched.delays_s)),
            f"{median(watched.delays_s) * 1000:,.0f}",
            f"{max(watched.delays_s) * 1000:,.0f}",
        )
        for watched in watching
    ]
    print(f"\n{REPLICAS:,} replicas in Redis, watched; one of them changes each second:")
    _print_plain([_WATCH_HEADS, *table], texts=0)
    print()
    for kept, text in (
        (
            watching.slowest_s < 1.0,
            f"a change reaches {CALLERS} callers within 1 s: {watching.slowest_s * 1000:.0f} ms",
        ),
        (
            watching.alone.core_ratio < 0.01,
            f"watching takes under 1 % of a core: {watching.alone.core_ratio:.2%}",
        ),
    ):
        print(f"{'reached' if kept else 'missed':7}  {text}")


def show_workers(found: list[WorkersRow]) -> None:
    """Print what more workers bring."""
    table = [
        (
            f"{row.case.cost_us} us" if row.case.cost_us else "bare",
            str(row.case.workers or "no workers"),
            f"{row.calls_per_s:,.0f}",
            f"{row.server_us:,.1f}",
            f"{row.caller_us:,.1f}",
            f"{row.caller_share:.0%}",
            f"{row.busy_cores:.2f}",
            f"{row.scaling:.2f}",
            f"{row.least:.2f}",
            f"{row.greatest:.2f}",
            f"{row.cpu_scaling:.2f}",
        )
        for row in found
    ]
    print("\nmore workers of one replica; the load takes its share of the same cores:")
    _print_plain([_WORKERS_HEADS, *table], texts=2)


def _print_plain(lines: list[tuple[str, ...]], texts: int) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _sentence(verdict: Verdict) -> str:
    word = "reached" if verdict.reached else "missed"
    return (
        f"{word:7}  {verdict.promise.text}: {verdict.ratio:.3g} "
        f"(rounds {verdict.least:.3g} to {verdict.greatest:.3g})"
    )


def _memory_json(memory: Memory) -> dict[str, Any]:
    return {**memory._asdict(), "weights": [weight._asdict() for weight in memory.weights]}


def as_json(
    samples: Samples,
    costs: list[Cost],
    memory: Memory | None,
    workers: list[WorkersRow],
    watching: Watching | None,
) -> dict[str, Any]:
    """Everything, with each round's numbers."""
    return {
        "setting": setting(),
        "rows": [row._asdict() for row in rows(samples)],
        "promises": [
            {**verdict._asdict(), "promise": verdict.promise._asdict()}
            for verdict in verdicts(samples)
        ],
        "picks": [cost._asdict() for cost in costs],
        "workers": [{**row._asdict(), "case": row.case._asdict()} for row in workers],
        "memory": None if memory is None else _memory_json(memory),
        "registry": None if watching is None else watching._asdict(),
        "rounds": [
            {"part": case.part, "peer": case.peer, "samples": list(taken)}
            for case, taken in samples.items()
        ],
    }
