"""From samples to a table's rows and to the promises kept or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from .cases import OURS, Case, Part
from .window import Sample

Samples = Mapping[Case, Sequence[Sample]]

# What each part compares.
MEASURES: dict[Part, Callable[[Sample], float]] = {
    "server": lambda sample: sample.server_us,
    "client": lambda sample: sample.caller_us,
    "pair": lambda sample: sample.calls_per_s,
}


class Row(NamedTuple):
    """One case in the table: medians over the rounds.

    Attributes:
        part: see `Case`.
        peer: see `Case`.
        calls_per_s: throughput.
        caller_us: CPU microseconds a call of the caller's process.
        server_us: CPU microseconds a call of all servers' processes.
        busy_ratio: see `Sample`.
        least: the least of the measure that the part compares, over the rounds.
        greatest: the greatest of it.
        against_ours: that measure's median divided by ours; None when ours was not run.
    """

    part: Part
    peer: str
    calls_per_s: float
    caller_us: float
    server_us: float
    busy_ratio: float
    least: float
    greatest: float
    against_ours: float | None


def rows(samples: Samples) -> list[Row]:
    """The table."""
    table = []
    for case, taken in samples.items():
        values = [MEASURES[case.part](sample) for sample in taken]
        ours = _median(samples, case.part, OURS)
        table.append(
            Row(
                case.part,
                case.peer,
                median(sample.calls_per_s for sample in taken),
                median(sample.caller_us for sample in taken),
                median(sample.server_us for sample in taken),
                median(sample.busy_ratio for sample in taken),
                min(values),
                max(values),
                median(values) / ours if ours else None,
            )
        )
    return table


class Promise(NamedTuple):
    """A ratio that the project promises: ours divided by a peer's.

    Attributes:
        text: what is promised.
        part: where it is measured.
        peer: against whom.
        limit: the ratio.
        at_least: whether the ratio must reach the limit instead of staying below it.
    """

    text: str
    part: Part
    peer: str
    limit: float
    at_least: bool = False


PROMISES = (
    Promise("typed call: at most 1/10 of treq's CPU", "client", "treq", 0.1),
    Promise("typed call: at most 1/2.5 of aiohttp's CPU", "client", "aiohttp", 0.4),
    Promise("server: at most 1/2.5 of twisted.web's CPU", "server", "twisted.web", 0.4),
    Promise("server: at most 0.75 of raw uvicorn's CPU", "server", "uvicorn, raw ASGI", 0.75),
    Promise(
        "pair: at least 3 times the calls of aiohttp to uvicorn",
        "pair",
        "aiohttp to uvicorn",
        3.0,
        at_least=True,
    ),
)


class Verdict(NamedTuple):
    """What became of a promise.

    Attributes:
        promise: which.
        ratio: of the medians.
        least: the least ratio of a single round.
        greatest: the greatest.
        reached: whether the ratio of the medians keeps the promise.
    """

    promise: Promise
    ratio: float
    least: float
    greatest: float
    reached: bool


def verdicts(samples: Samples) -> list[Verdict]:
    """The promises whose both sides were run."""
    found = []
    for promise in PROMISES:
        ours = _values(samples, promise.part, OURS)
        theirs = _values(samples, promise.part, promise.peer)
        if not ours or not theirs:
            continue
        ratio = median(ours) / median(theirs)
        by_round = [one / other for one, other in zip(ours, theirs, strict=True)]
        reached = ratio >= promise.limit if promise.at_least else ratio <= promise.limit
        found.append(Verdict(promise, ratio, min(by_round), max(by_round), reached))
    return found


def _values(samples: Samples, part: Part, peer: str) -> list[float]:
    for case, taken in samples.items():
        if case.part == part and case.peer == peer:
            return [MEASURES[part](sample) for sample in taken]
    return []


def _median(samples: Samples, part: Part, peer: str) -> float | None:
    values = _values(samples, part, peer)
    return median(values) if values else None
