"""One run that the report is made of, and what is kept of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..result import Result
from ..scenario import Options

# Enough to tell two runs apart, and few enough to read.
_DIGITS = 6
_SERIES_DIGITS = 4
_OPTIONS = ("policy", "signal", "choices", "replicas", "clients", "load", "calls", "seed")
_FIGURES = (
    "calls",
    "failed",
    "mean_s",
    "p50_s",
    "p99_s",
    "p999_s",
    "attempts_per_call",
    "probes_per_call",
)


class Cell(msgspec.Struct, frozen=True):
    """One run.

    Attributes:
        scenario: its name.
        options: what departs from its defaults.
    """

    scenario: str
    options: Options

    @property
    def command(self) -> str:
        """What has to be typed behind ``txmesh simulate`` for the same run."""
        words = [self.scenario]
        for name in _OPTIONS:
            value = getattr(self.options, name)
            if value is not None:
                words.append(f"--{name} {value}")
        return " ".join(words)


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a result, rounded.

    Attributes:
        figures: by name; those of the scenario alone are among them.
        series: values by name, one a second.
    """

    figures: Mapping[str, float]
    series: Mapping[str, Sequence[float]] = {}


def outcome(result: Result) -> Outcome:
    """Keep of a result what the report needs."""
    figures = {name: getattr(result, name) for name in _FIGURES} | dict(result.details)
    if result.calls:
        figures.setdefault("success", 1 - result.failed / result.calls)
    return Outcome(
        figures={name: rounded(value, _DIGITS) for name, value in figures.items()},
        series={
            name: [rounded(value, _SERIES_DIGITS) for value in values]
            for name, values in result.series.items()
        },
    )


def rounded(value: float, digits: int) -> float:
    """A number to so many significant digits."""
    return float(f"{value:.{digits}g}")
