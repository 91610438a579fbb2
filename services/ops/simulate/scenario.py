"""``txmesh simulate NAME``: one scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import msgspec

from balancer.simulation import Options, Scenario, run

from ..options import Positive, json_option
from ..output import write_json
from .names import contenders, policy_option, seed_option, signal_option
from .running import Running
from .tables import show


def scenario_command(scenario: Scenario) -> click.Command:
    """Make the command that runs a scenario."""

    def command(
        policies: tuple[str, ...],
        signal: str | None,
        as_json: bool,
        **asked: Any,
    ) -> int:
        base = Options(**asked)
        chosen = [
            msgspec.structs.replace(base, policy=contender.policy, signal=contender.signal or None)
            for contender in contenders(policies, signal)
        ] or [msgspec.structs.replace(base, signal=signal)]
        results = []
        with Running(f"running {scenario.name} under", len(chosen)) as running:
            for options in chosen:
                running.begin(options.balancing().policy)
                result = run(scenario.name, options)
                if as_json:
                    write_json(result)
                results.append(result)
        if not as_json:
            show(scenario, results)
        return 0

    for option in reversed(_options(scenario)):
        command = option(command)
    return click.command(scenario.name, short_help=scenario.summary, help=_help(scenario))(command)


def _options(scenario: Scenario) -> tuple[Callable[[Any], Any], ...]:
    calls = f"{scenario.calls:,}" if scenario.calls else "as many as come in its time"
    return (
        policy_option,
        signal_option,
        click.option(
            "--choices",
            type=click.IntRange(1, 1000),
            metavar="D",
            help="How many replicas are compared, by two-choices; which it implies.",
        ),
        seed_option,
        click.option(
            "--replicas",
            type=click.IntRange(1, 100_000),
            metavar="N",
            help=f"Servers; {scenario.replicas:,}.",
        ),
        click.option(
            "--clients",
            type=click.IntRange(1, 100_000),
            metavar="N",
            help=f"Processes that call, each with a view of its own; {scenario.clients:,}.",
        ),
        click.option(
            "--load",
            type=Positive(1e6),
            metavar="L",
            help=f"{scenario.load.capitalize()}; {scenario.default_load:g}.",
        ),
        click.option(
            "--calls",
            type=click.IntRange(1, 10**9),
            metavar="N",
            help=f"How many are measured; {calls}.",
        ),
        json_option,
    )


def _help(scenario: Scenario) -> str:
    return f"""{scenario.summary[0].upper()}{scenario.summary[1:]}.

    Source: {scenario.source}.

    \b
    Examples:
      txmesh simulate {scenario.name}
      txmesh simulate {scenario.name} --policy round-robin --policy two-choices
      txmesh simulate {scenario.name} --policy all --seed 2 --json

    With --json each run is an object on a line of its own.
    """
