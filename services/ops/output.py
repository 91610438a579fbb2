"""Where things are written: answers on standard output, everything else on standard error."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.table import Table

# Without a terminal there is no width to fit into: wide enough that no cell is ever cut.
_PLAIN_WIDTH = 240


def console(*, errors: bool = False) -> Console:
    """A console on standard output, or on standard error."""
    stream = sys.stderr if errors else sys.stdout
    return Console(
        file=stream,
        width=None if stream.isatty() else _PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def write_json(document: object) -> None:
    """Write one line of JSON to standard output, at once."""
    sys.stdout.write(msgspec.json.encode(document).decode("utf-8") + "\n")
    sys.stdout.flush()


def counted(count: int, noun: str) -> str:
    """How many there are, such as "1 replica" or "2 replicas"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table.

    Args:
        *columns: the headings.
        numbers: those among them whose cells are numbers, and so stand to the right.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(
            column, justify="right" if column in numbers else "left", overflow="fold", no_wrap=False
        )
    return made
