"""What the plots show, apart from how they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from .cell import Cell
from .contenders import CONTENDERS, Contender
from .family import family
from .figures import Figures
from .papers import LOADS, PREQUAL_P99_S, SUPERMARKET, supermarket_cells
from .runs import runs

_SUPERMARKET_LOADS = (0.5, 0.7, 0.9, 0.95, 0.99)
_DEFAULT_CALLS = 300_000
_CURVE_LOADS = tuple(number / 100 for number in range(50, 100))
# Whose courses are drawn second by second: nine lines that lie on each other show nothing.
_DRAWN = tuple(
    contender
    for contender in CONTENDERS
    if contender.standard or contender.policy in ("round-robin", "least-loaded", "two-choices")
)

_MS, _PERCENT = 1000.0, 100.0

Kind: TypeAlias = Literal["measured", "points", "course", "computed"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plot.

    Attributes:
        label: in the legend.
        style: which colour and marker; 0 is the default's.
        points: x and y.
        kind: "measured" is drawn as a line with markers, "points" as markers alone (of what lies
            on a line that is computed), "course" as a line, "computed" as a dashed line.
    """

    label: str
    style: int
    points: Sequence[tuple[float, float]]
    kind: Kind = "measured"


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One plot.

    Attributes:
        name: of its file, without the ending.
        words: what it shows, for those who do not see it.
        across: the label of the x axis, with its unit.
        up: the label of the y axis, with its unit.
        lines: in the order of the legend.
        steep: whether the y axis is logarithmic.
        band: from where to where on the x axis something is wrong; None for nowhere.
    """

    name: str
    words: str
    across: str
    up: str
    lines: Sequence[Line]
    steep: bool = False
    band: tuple[float, float] | None = None


def needed() -> Iterable[Cell]:
    """Runs that only pictures need."""
    return (cell for load in _SUPERMARKET_LOADS for cell in _default_at(load))


def pictures(figures: Figures) -> tuple[Picture, ...]:
    """All of them."""
    return (
        _supermarket(figures),
        _antagonists(figures),
        Picture(
            name="slow-server",
            words="share of the attempts that the slow one of eleven servers gets, by second",
            across="time (s)",
            up="share of attempts (%)",
            lines=_courses(figures, "slow-server", "share", _PERCENT),
            band=(15, 45),
        ),
        Picture(
            name="rolling-restart",
            words="mean latency while six servers are restarted one after the other, by second",
            across="time (s)",
            up="mean latency (ms)",
            lines=_courses(figures, "rolling-restart", "mean_s", _MS),
            band=(5, 53),
        ),
        Picture(
            name="metastable",
            words="good answers before, during and after five times the load, by second",
            across="time (s)",
            up="good answers (% of what the servers bear)",
            lines=_courses(figures, "metastable", "goodput", _PERCENT),
            band=(10, 20),
        ),
    )


def _supermarket(figures: Figures) -> Picture:
    lines = [
        Line(
            label=f"d = {choices}, limit for many servers",
            style=style,
            points=[(load, _limit(choices, load)) for load in _CURVE_LOADS],
            kind="computed",
        )
        for style, choices in enumerate((1, 2, 3), 1)
    ]
    for style, choices in enumerate((1, 2, 3), 1):
        points = [
            (load, figures.mean(supermarket_cells(load, choices), "mean_s"))
            for load, of, _, _ in SUPERMARKET
            if of == choices
        ]
        lines.append(Line(label=f"d = {choices}", style=style, points=points, kind="points"))
    lines.append(
        Line(
            label="the default",
            style=0,
            points=[
                (load, figures.mean(_default_at(load), "mean_s")) for load in _SUPERMARKET_LOADS
            ],
        )
    )
    return Picture(
        name="supermarket",
        words="mean time in the system over the load",
        across="load (parts of what the servers bear)",
        up="mean time in the system (service times)",
        lines=lines,
        steep=True,
    )


def _antagonists(figures: Figures) -> Picture:
    lines = [
        _line(
            contender,
            [
                (trying.load or 0.0, figures.mean(trying.cells(contender), "p99_s"))
                for trying in family()
                if trying.scenario == "antagonists"
            ],
            _MS,
        )
        for contender in CONTENDERS
    ]
    prequal = [(load, _MS * p99_s) for load, p99_s in zip(LOADS, PREQUAL_P99_S, strict=True)]
    lines.append(
        Line(label="Prequal, computed", style=len(CONTENDERS), points=prequal, kind="computed")
    )
    return Picture(
        name="antagonists",
        words="p99 over the load where half of the servers are slow, by policy",
        across="load (parts of what is allotted to the servers)",
        up="p99 (ms)",
        lines=lines,
        steep=True,
    )


def _courses(figures: Figures, scenario: str, name: str, times: float) -> list[Line]:
    """A series of each contender that is drawn.

    Args:
        figures: of all runs.
        scenario: whose series.
        name: the series'.
        times: from its unit to the plot's.
    """
    lines = []
    for contender in _DRAWN:
        # The last second may not be a whole one.
        values = figures.series(runs(scenario, contender)[0], name)[:-1]
        lines.append(_line(contender, list(enumerate(values, 1)), times, "course"))
    return lines


def _line(
    contender: Contender,
    points: Sequence[tuple[float, float]],
    times: float,
    kind: Kind = "measured",
) -> Line:
    """A contender's line; y is in a unit of which ``times`` make one of the plot's."""
    name = contender.label
    others = [other for other in CONTENDERS if not other.standard]
    return Line(
        label=f"{name} (the default)" if contender.standard else name,
        style=0 if contender.standard else 1 + others.index(contender),
        points=[(x, times * y) for x, y in points],
        kind=kind,
    )


def _default_at(load: float) -> tuple[Cell, ...]:
    return runs("supermarket", None, (1,), load=load, calls=_DEFAULT_CALLS)


def _limit(choices: int, load: float) -> float:
    """The mean time in the system with infinitely many servers."""
    if choices == 1:
        return 1 / (1 - load)
    total = term = 1.0
    power = 1
    while term > 1e-12:
        # The exponents (d**i - d) / (d - 1): 0, d, d + d**2, ...
        power *= choices
        term *= load**power
        total += term
    return total
