"""What a source says, beside the runs that have to bear it out."""

from __future__ import annotations

import msgspec

from .cell import Cell
from .figures import Figures


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """How far a figure may be off; what is None does not bound it.

    Attributes:
        within: from the computed value, in parts of it.
        times: of the computed value at most.
        least: at least this.
        most: at most this.
    """

    within: float | None = None
    times: float | None = None
    least: float | None = None
    most: float | None = None

    def holds(self, value: float, computed: float | None) -> bool:
        """Whether a figure is inside.

        Args:
            value: the figure.
            computed: what it should be; needed by ``within`` and ``times``.
        """
        if self.within is not None:
            assert computed is not None
            if abs(value - computed) > self.within * computed:
                return False
        if self.times is not None:
            assert computed is not None
            if value > self.times * computed:
                return False
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One figure that is known from elsewhere.

    Attributes:
        case: what was run, in a few words; with its section it names the claim.
        cells: the runs; the mean of their figures is looked at.
        figure: its name.
        unit: "s", "ms", "%" or "" for a plain number.
        published: as it stands in the source.
        computed: as it was worked out for the very model that is run.
        bound: what it has to keep to; None when it is shown for comparison alone.
    """

    case: str
    cells: tuple[Cell, ...]
    figure: str
    unit: str
    published: float | None = None
    computed: float | None = None
    bound: Bound | None = None

    def value(self, figures: Figures) -> float:
        """What was measured."""
        return figures.mean(self.cells, self.figure)

    def holds(self, figures: Figures) -> bool | None:
        """Whether it was borne out; None when nothing bounds it."""
        if self.bound is None:
            return None
        return self.bound.holds(self.value(figures), self.computed)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One source and what it claims.

    Attributes:
        name: of the scenario, or in its place; with a claim's case it is the key of its reason.
        title: the heading.
        text: what is compared, and what to know of it.
        claims: its figures.
        plots: names of drawings that belong here.
    """

    name: str
    title: str
    text: str
    claims: tuple[Claim, ...]
    plots: tuple[str, ...] = ()
