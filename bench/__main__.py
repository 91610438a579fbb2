"""The command: ``python -m bench``; see ``docs/reference/benchmarks.md``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from .cases import CASES, Case
from .memory import measure_memory
from .picks import measure_picks
from .process import PeerFailed
from .registry import measure_registry
from .report import as_json, show, show_memory, show_picks, show_registry, show_workers
from .rounds import run
from .workers import measure_workers


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often.")
@click.option(
    "--seconds",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0.1),
    help="How long each window is.",
)
@click.option(
    "--only",
    type=click.Choice(["server", "client", "pair", "pick", "memory", "workers", "registry"]),
    help="One part; without it all seven.",
)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write all numbers here.")
def main(rounds: int, seconds: float, only: str | None, target: Path | None) -> None:
    """Measure what a call costs, beside its peers; ends with 0 unless something broke."""
    cases = [case for case in CASES if only in (None, case.part)]

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{text:60}", end="", file=sys.stderr, flush=True)

    def progress(number: int, case: Case) -> None:
        say(f"round {number} of {rounds}: {case.part}, {case.peer}")

    try:
        samples = run(cases, rounds, min(0.5, seconds), seconds, progress)
        costs = measure_picks(rounds, say) if only in (None, "pick") else []
        memory = measure_memory(say) if only in (None, "memory") else None
        workers = measure_workers(rounds, seconds, say) if only in (None, "workers") else []
        watching = measure_registry(say) if only in (None, "registry") else None
    except PeerFailed as error:
        raise click.ClickException(str(error)) from None
    finally:
        say("")
        say("")
    if target is not None:
        # First: a pager that is closed early must not cost the numbers.
        target.parent.mkdir(parents=True, exist_ok=True)
        numbers = msgspec.json.encode(as_json(samples, costs, memory, workers, watching))
        target.write_bytes(msgspec.json.format(numbers) + b"\n")
    if samples:
        show(samples)
    if costs:
        show_picks(costs)
    if memory is not None:
        show_memory(memory)
    if workers:
        show_workers(workers)
    if watching is not None:
        show_registry(watching)


if __name__ == "__main__":
    main()
