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
        return _off(self.measure, self.value, self.best_value)

    @property
    def holds(self) -> bool:
        """Whether the default is the best or near to it."""
        return near(self.measure, self.value, self.best_value)


def near(measure: Measure, value: float, best: float) -> bool:
    """Whether a value is the best or near to it."""
    return _off(measure, value, best) <= NEAR or abs(value - best) <= measure.slack


def _off(measure: Measure, value: float, best: float) -> float:
    worse = best - value if measure.more else value - best
    return worse / abs(best) if best else float(worse > 0)


class Trying(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario, run under every contender.

    Attributes:
        name: what it is called in the report.
        scenario: what is run.
        load: of its runs; None for the scenario's own.
        seeds: of the runs whose mean is taken.
        once: who is so far from the best that the first seed alone will do.
        measures: what decides, what matters most first.
        shown: other figures worth a column.
        plots: names of drawings that belong here.
    """

    name: str
    scenario: str
    load: float | None = None
    seeds: tuple[int, ...] = SEEDS[:2]
    once: tuple[Contender, ...] = ()
    measures: tuple[Measure, ...]
    shown: tuple[Measure, ...] = ()
    plots: tuple[str, ...] = ()

    def cells(self, contender: Contender) -> tuple[Cell, ...]:
        """The runs under one contender."""
        seeds = self.seeds[:1] if contender in self.once else self.seeds
        return runs(self.scenario, contender, seeds, load=self.load)

    def verdicts(self, figures: Figures) -> list[Verdict]:
        """How the default compares, by each measure.

        Whoever is not near the best by one measure is out of the comparison by those after it: to
        fail calls quickly is no merit.
        """
        found = []
        left = list(CONTENDERS)
        for measure in self.measures:
            verdict = self._verdict(measure, left, figures)
            found.append(verdict)
            left = [
                contender
                for contender in left
                if contender.standard
                or near(measure, self._value(contender, measure, figures), verdict.best_value)
            ]
        return found

    def _verdict(self, measure: Measure, among: list[Contender], figures: Figures) -> Verdict:
        values = {contender: self._value(contender, measure, figures) for contender in among}
        best_value = (max if measure.more else min)(values.values())
        # Of equals the default, which then is the best itself.
        best = min(
            (contender for contender in among if values[contender] == best_value),
            key=lambda contender: not contender.standard,
        )
        own = next(values[contender] for contender in among if contender.standard)
        return Verdict(name=self.name, measure=measure, best=best, best_value=best_value, value=own)

    def _value(self, contender: Contender, measure: Measure, figures: Figures) -> float:
        return figures.mean(self.cells(contender), measure.figure)
