"""The options that every subcommand has, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from balancer import ConfigFile, read_config
from services.kit.settings import check_config

from .catalogue import Catalogue

Function = TypeVar("Function", bound=Callable[..., Any])


def config_option(function: Function) -> Function:
    """Add ``--config FILE``."""
    return click.option(
        "--config",
        "-c",
        metavar="FILE",
        help="TOML file; without it the embedded defaults, with their state in ./.mesh.",
    )(function)


def json_option(function: Function) -> Function:
    """Add ``--json``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="JSON alone on standard output, everything else on standard error.",
    )(function)


def deadline_option(function: Function) -> Function:
    """Add ``--deadline S``."""
    return click.option(
        "--deadline",
        "deadline_s",
        type=Positive(3600.0),
        metavar="S",
        help="How long to wait for an answer, in seconds; without it as the contract says.",
    )(function)


class Positive(click.ParamType[float]):
    """A number above 0, and at most a limit: neither "nan" nor "inf"."""

    name = "number"

    def __init__(self, most: float) -> None:
        """Take the limit."""
        self._most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number; see `click.ParamType`."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number <= self._most:
            self.fail(f"{value!r} is not a number above 0 and up to {self._most:g}.", param, ctx)
        return number


def open_config(path: str | None) -> ConfigFile:
    """Read a configuration and check all of it.

    Args:
        path: as given with ``--config``.

    Raises:
        ConfigError: it cannot be used.
    """
    file = read_config(path)
    check_config(file)
    Catalogue(file)  # refuses a service that nobody knows
    return file
