"""One scenario under every contender: which is the best, and how far is the default from it?"""

from __future__ import annotations

import msgspec

from .cell import Cell
from .contenders import CONTENDERS, Contender
from .figures import Figures
from .runs import SEEDS, runs

# The default should be the best or so near to it, in parts of the best.
NEAR = 0.05


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that contenders are compared by.

    Attributes:
        figure: its name.
        unit: as in `Claim`.
        words: what it is, for people.
        more: whether more of it is better.
        slack: a difference that nobody would notice, in the figure's own unit: where the best is
            nearly nought, one twentieth of it says nothing.
    """

    figure: str
    unit: str
    words: str
    more: bool = False
    slack: float = 0.0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How the default compares by one measure.

    Attributes:
        name: of the scenario in the report.
        measure: what was compared.
        best: who is best.
        best_value: what that one has.
        value: what the default has.
    """

    name: str
    measure: Measure
    best: Contender
    best_value: float
    value: float

    @property
    def key(self) -> str:
        """What its reason is kept under."""
        return f"{self.name}: {self.measure.words}"

    @property
    def off(self) -> float:
        """How much worse the default is, in parts of the best."""
        worse = self.best_value - self.value if self.measure.more else self.value - self.best_value
        return worse / abs(self.best_value) if self.best_value else float(worse > 0)

    @property
    def holds(self) -> bool:
        """Whether the default is the best or near to it."""
        return self.off <= NEAR or abs(self.value - self.best_value) <= self.measure.slack


class Trying(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario, run under every contender.

    Attributes:
        name: what it is called in the report.
        scenario: what is run.
        load: of its runs; None for the scenario's own.
        seeds: of the runs whose mean is taken.
        measures: what decides.
        shown: other figures worth a column.
        plots: names of drawings that belong here.
    """

    name: str
    scenario: str
    load: float | None = None
    seeds: tuple[int, ...] = SEEDS
    measures: tuple[Measure, ...]
    shown: tuple[Measure, ...] = ()
    plots: tuple[str, ...] = ()

    def cells(self, contender: Contender) -> tuple[Cell, ...]:
        """The runs under one contender."""
        return runs(self.scenario, contender, self.seeds, load=self.load)

    def verdicts(self, figures: Figures) -> list[Verdict]:
        """How the default compares, by each measure."""
        return [self._verdict(measure, figures) for measure in self.measures]

    def _verdict(self, measure: Measure, figures: Figures) -> Verdict:
        values = {
            contender: figures.mean(self.cells(contender), measure.figure)
            for contender in CONTENDERS
        }
        best_value = (max if measure.more else min)(values.values())
        # Of equals the default, which then is the best itself.
        best = min(
            (contender for contender in CONTENDERS if values[contender] == best_value),
            key=lambda contender: not contender.standard,
        )
        own = next(values[contender] for contender in CONTENDERS if contender.standard)
        return Verdict(name=self.name, measure=measure, best=best, best_value=best_value, value=own)
