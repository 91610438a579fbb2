"""What people see of scenarios and of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from balancer.simulation import Result, Scenario

from ..output import console, table, write_json

# What a scenario is told of: all but the function that runs it.
_TOLD = tuple(name for name in Scenario.__struct_fields__ if name != "play")


def list_scenarios(scenarios: Iterable[Scenario], *, as_json: bool) -> None:
    """Print what scenarios there are.

    Args:
        scenarios: all of them.
        as_json: one object a line, instead of a table.
    """
    if as_json:
        for scenario in scenarios:
            write_json({name: getattr(scenario, name) for name in _TOLD})
        return
    shown = table(
        "scenario", "what happens", "replicas", "clients", "calls", "load", "which is", "source",
        numbers=("replicas", "clients", "calls", "load"),
    )  # fmt: skip
    for scenario in scenarios:
        shown.add_row(
            scenario.name,
            scenario.summary,
            f"{scenario.replicas:,}",
            f"{scenario.clients:,}",
            f"{scenario.calls:,}" if scenario.calls else "-",
            f"{scenario.default_load:g}",
            scenario.load,
            scenario.source,
        )
    console().print(shown)


def show(scenario: Scenario, results: Sequence[Result]) -> None:
    """Print what runs came to, each a row.

    Args:
        scenario: whose they are.
        results: at least one.
    """
    screen = console()
    first = results[0]
    screen.print(f"{scenario.name}: {scenario.summary}")
    screen.print(
        f"seed {first.seed}, {first.replicas:,} replicas, {first.clients:,} clients, "
        f"load {first.load:g} ({scenario.load})\n"
    )
    numbers = ("calls", "failed", "mean", "p50", "p99", "p99.9", "attempts/call", "probes/call")
    shown = table("policy", "signal", *numbers, numbers=numbers)
    for result in results:
        times = (result.mean_s, result.p50_s, result.p99_s, result.p999_s)
        shown.add_row(
            result.policy,
            result.signal,
            f"{result.calls:,}",
            f"{result.failed:,}",
            *(duration(seconds) for seconds in times),
            f"{result.attempts_per_call:.4f}",
            f"{result.probes_per_call:.4f}",
        )
    screen.print(shown)
    names = tuple(first.details)
    if names:
        screen.print()
        more = table("policy", "signal", *names, numbers=names)
        for result in results:
            more.add_row(
                result.policy, result.signal, *(figure(value) for value in result.details.values())
            )
        screen.print(more)


def duration(seconds: float) -> str:
    """A time as people read it: "12.3 ms", "1.27 s"."""
    return f"{figure(seconds * 1000)} ms" if seconds < 1 else f"{figure(seconds)} s"


def figure(value: float) -> str:
    """A number to four digits, without an exponent where none is needed."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
