"""Names on the command line, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import msgspec

from balancer.simulation.report import CONTENDERS, POLICIES, SIGNALS, Contender

from ..catalogue import did_you_mean
from ..faults import Misused

ALL = "all"


class Known(click.ParamType[str]):
    """A name out of a few; another one is answered with the nearest."""

    def __init__(self, what: str, names: Iterable[str]) -> None:
        """Take the names.

        Args:
            what: what they are names of, in the singular.
            names: all of them.
        """
        self.name = what
        self._names = tuple(names)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read a name; see `click.ParamType`."""
        if value not in self._names:
            raise Misused(f"there is no {self.name} {value!r}; {did_you_mean(value, self._names)}")
        name: str = value
        return name


policy_option = click.option(
    "--policy",
    "policies",
    type=Known("policy", (*POLICIES, ALL)),
    multiple=True,
    metavar="P",
    help=f"How to pick; may be repeated, and {ALL!r} stands for those of the report.",
)
signal_option = click.option(
    "--signal",
    type=Known("signal", SIGNALS),
    metavar="S",
    help="What counts as load; without it the policy's own.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    metavar="N",
    help="Of everything random; 1.",
)


def contenders(policies: Iterable[str], signal: str | None) -> list[Contender]:
    """What is to be run.

    Args:
        policies: their names, checked; "all" stands for those that the report compares.
        signal: for each of them; None for their own.
    """
    chosen: list[Contender] = []
    for policy in policies:
        chosen += CONTENDERS if policy == ALL else (_contender(policy, ""),)
    if signal is not None:
        chosen = [_contender(contender.policy, signal) for contender in chosen]
    return list(dict.fromkeys(chosen))


def _contender(policy: str, signal: str) -> Contender:
    return msgspec.convert({"policy": policy, "signal": signal}, Contender)
