"""``txmesh simulate``: the balancer in virtual time."""

from __future__ import annotations

from pathlib import Path

import click

from balancer.simulation import scenarios

from ..catalogue import did_you_mean
from ..faults import Misused
from ..options import json_option
from .names import contenders, policy_option, seed_option, signal_option
from .replay import replay
from .report import report
from .scenario import scenario_command
from .tables import list_scenarios


class _Scenarios(click.Group):
    """A command for each scenario, and those that are about all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, the scenarios in the order of the report."""
        return [*(scenario.name for scenario in scenarios()), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find one, or make it."""
        for scenario in scenarios():
            if scenario.name == cmd_name:
                return scenario_command(scenario)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the one that is meant; see `click.Group`."""
        name = args[0]
        given = next((param for param in self.params if _is_given(ctx, param)), None)
        if given is not None:
            raise Misused(f"put {given.opts[0]} behind the name: txmesh simulate {name} ...")
        if self.get_command(ctx, name) is None:
            raise Misused(
                f"there is no scenario {name!r}; {did_you_mean(name, self.list_commands(ctx))}"
            )
        return super().resolve_command(ctx, args)


def _is_given(ctx: click.Context, param: click.Parameter) -> bool:
    source = ctx.get_parameter_source(param.name) if param.name else None
    return source is click.core.ParameterSource.COMMANDLINE


@click.group(
    "simulate",
    cls=_Scenarios,
    invoke_without_command=True,
    short_help="Run the balancer in virtual time.",
    subcommand_metavar="[SCENARIO] [OPTION]...",
)
@click.option(
    "--replay",
    "record",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Replay a decision log under --policy instead.",
)
@policy_option
@signal_option
@seed_option
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    record: Path | None,
    policies: tuple[str, ...],
    signal: str | None,
    seed: int,
    as_json: bool,
) -> int:
    """Run the balancer in virtual time.

    What picks, ejects, retries and hedges is the code that does so on sockets; servers, arrivals
    and failures are simulated. Without SCENARIO those that there are, are listed; each explains its
    options with --help. The same options give the same figures: nothing but --seed is random.

    With --replay the calls of a decision log are made once more, at their times, to replicas that
    answer as the log shows them to have answered around then; under the recorded policy, which
    shows how far that is to be trusted, and under others.

    \b
    Examples:
      txmesh simulate
      txmesh simulate slow-server
      txmesh simulate slow-server --policy all
      txmesh simulate supermarket --replicas 100 --choices 2 --load 0.9 --calls 3000000 --json
      txmesh simulate --replay decisions.jsonl --policy round-robin
      txmesh simulate report

    With --json there is one object a line: a scenario, a run, or a replayed service.
    """
    if ctx.invoked_subcommand is None:
        if record is not None:
            replay(record, contenders(policies, signal), seed, as_json=as_json)
        elif policies or signal is not None:
            raise Misused("which scenario? or a log, with --replay FILE")
        else:
            list_scenarios(scenarios(), as_json=as_json)
    return 0


simulate.add_command(report)
