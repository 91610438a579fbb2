"""All runs of the report, each once."""

from __future__ import annotations

from collections.abc import Iterator

from .cell import Cell
from .contenders import CONTENDERS
from .family import family
from .papers import sections
from .pictures import needed


def plan() -> tuple[Cell, ...]:
    """All of them: the supermarket's, which take longest, first."""
    return tuple(dict.fromkeys(_cells()))


def _cells() -> Iterator[Cell]:
    for section in sections():
        for claim in section.claims:
            yield from claim.cells
    for trying in family():
        for contender in CONTENDERS:
            yield from trying.cells(contender)
    yield from needed()
