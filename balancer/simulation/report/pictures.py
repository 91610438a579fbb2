"""What the plots show, apart from how they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from .cell import Cell
from .contenders import CONTENDERS, Contender
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


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plot.

    Attributes:
        label: in the legend.
        style: which colour and marker; 0 is the default's.
        points: x and y.
        computed: whether it comes from elsewhere: drawn dashed, without markers.
    """

    label: str
    style: int
    points: Sequence[tuple[float, float]]
    computed: bool = False


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
            lines=_courses(figures, "slow-server", "share"),
            band=(15, 45),
        ),
        Picture(
            name="rolling-restart",
            words="good answers while six servers are restarted one after the other, by second",
            across="time (s)",
            up="good answers (% of calls offered)",
            lines=_courses(figures, "rolling-restart", "goodput"),
            band=(5, 53),
        ),
        Picture(
            name="metastable",
            words="good answers before, during and after five times the load, by second",
            across="time (s)",
            up="good answers (% of what the servers bear)",
            lines=_courses(figures, "metastable", "goodput"),
            band=(10, 20),
        ),
    )


def _supermarket(figures: Figures) -> Picture:
    lines = [
        Line(
            label=f"d = {choices}, limit for many servers",
            style=style,
            points=[(load, _limit(choices, load)) for load in _CURVE_LOADS],
            computed=True,
        )
        for style, choices in enumerate((1, 2, 3), 1)
    ]
    for style, choices in enumerate((1, 2, 3), 1):
        points = [
            (load, figures.mean(supermarket_cells(load, choices), "mean_s"))
            for load, of, _, _ in SUPERMARKET
            if of == choices
        ]
        lines.append(Line(label=f"d = {choices}", style=style, points=points))
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
        Line(
            label=contender.label,
            style=_style(contender),
            points=[
                (
                    load,
                    1000 * figures.mean(runs("antagonists", contender, (1,), load=load), "p99_s"),
                )
                for load in LOADS
            ],
        )
        for contender in CONTENDERS
    ]
    prequal = [(load, 1000 * p99_s) for load, p99_s in zip(LOADS, PREQUAL_P99_S, strict=True)]
    lines.append(
        Line(label="Prequal, computed", style=1 + len(CONTENDERS), points=prequal, computed=True)
    )
    return Picture(
        name="antagonists",
        words="p99 over the load where half of the servers are slow, by policy",
        across="load (parts of what is allotted to the servers)",
        up="p99 (ms)",
        lines=lines,
        steep=True,
    )


def _courses(figures: Figures, scenario: str, name: str) -> list[Line]:
    """A series of each contender that is drawn; in per cent, each value at its second's end."""
    return [
        Line(
            label=contender.label,
            style=_style(contender),
            points=[
                (second, 100 * value)
                for second, value in enumerate(
                    # The last second is not a whole one.
                    figures.series(runs(scenario, contender)[0], name)[:-1],
                    1,
                )
            ],
        )
        for contender in _DRAWN
    ]


def _style(contender: Contender) -> int:
    return 0 if contender.standard else 1 + CONTENDERS.index(contender)


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
