"""When calls come: instants in virtual seconds, rising.

Arrivals do not wait for answers (an open loop): a caller that waits is kind to whoever is slow, and
would hide what is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import log


def even(rate: float, begin: float, end: float) -> Iterator[float]:
    """Evenly spaced.

    Args:
        rate: calls a second.
        begin: the first instant.
        end: none is at or after it.
    """
    for number in range(round((end - begin) * rate)):
        yield begin + number / rate


def poisson(rate: float, begin: float, end: float, random: Callable[[], float]) -> Iterator[float]:
    """At random, independent of each other: the crowd.

    Args:
        rate: calls a second, on average.
        begin: from when.
        end: until when.
        random: floats in [0, 1).
    """
    instant = begin
    while True:
        instant -= log(1.0 - random()) / rate
        if instant >= end:
            return
        yield instant


def steps(
    rates: Iterable[tuple[float, float]], begin: float, random: Callable[[], float]
) -> Iterator[float]:
    """A crowd of changing size: a holiday's spike, a trigger.

    Args:
        rates: (seconds, calls a second) of one stretch after the other.
        begin: of the first.
        random: floats in [0, 1).
    """
    for lasting_s, rate in rates:
        if rate:
            yield from poisson(rate, begin, begin + lasting_s, random)
        begin += lasting_s


def recorded(instants: Iterable[float], begin: float) -> Iterator[float]:
    """As they were once.

    Args:
        instants: seconds since the record began, rising.
        begin: when it begins now.
    """
    for instant in instants:
        yield begin + instant
