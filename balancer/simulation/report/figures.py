"""The figures of all runs, and the file that keeps them: the report's source of truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ...errors import ConfigError
from .cell import Cell, Outcome


class Figures:
    """What runs came to, by the command that repeats them.

    Attributes:
        outcomes: by `Cell.command`.
    """

    def __init__(self, outcomes: Mapping[str, Outcome]) -> None:
        """Take them."""
        self.outcomes = outcomes

    def mean(self, cells: Sequence[Cell], name: str) -> float:
        """The mean of a figure over runs that differ in their seed.

        Args:
            cells: at least one.
            name: the figure's.
        """
        return sum(self.outcomes[cell.command].figures[name] for cell in cells) / len(cells)

    def has(self, cells: Iterable[Cell], name: str) -> bool:
        """Whether all of some runs have a figure."""
        return all(name in self.outcomes[cell.command].figures for cell in cells)

    def series(self, cell: Cell, name: str) -> Sequence[float]:
        """The values of each second of a run."""
        return self.outcomes[cell.command].series[name]

    def text(self) -> str:
        """All of them as JSON, one run a line, sorted: so that a change shows as its lines."""
        lines = (
            f"{_json(command)}:{_json(self.outcomes[command])}" for command in sorted(self.outcomes)
        )
        return "{\n" + ",\n".join(lines) + "\n}\n"


def read_figures(path: Path) -> Figures:
    """Read what was written before.

    Raises:
        ConfigError: there is nothing, or it is something else.
    """
    try:
        return Figures(msgspec.json.decode(path.read_bytes(), type=dict[str, Outcome]))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: no figures of a report: {error}") from error


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
