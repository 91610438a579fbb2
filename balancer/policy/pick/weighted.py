"""Drawn at random in proportion to weight and measured speed.

What a weighted round robin does whose weights follow each replica's measured capacity: a replica
that takes three times as long for each request in flight gets a third of the calls. It levels what
lasts (different machines, a noisy neighbour) and is blind to what passes within a second, so queues
of the moment are nobody's concern; from about full load on it fails where picks that look at load
go on (Wydrowski et al., "Load is not what you should balance", NSDI 2024, whose baseline it is).

A recent refusal or failure counts like a request in flight: the replica gets half as much for one.

The draw goes by a table of running totals, remade twice a second: speed is learned from many
reports and does not change faster.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from ..replica import Replica


class Weighted:
    """Picks at random by speed."""

    __slots__ = ("_random", "_replicas", "_totals", "compared")

    def __init__(self, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            random: floats in [0, 1).
        """
        self._random = random
        self._replicas: Sequence[Replica] = ()
        # By place: the sum of what is due to this replica and to all before it.
        self._totals: list[float] = []
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`."""
        self._replicas = replicas
        self.refresh(0.0)

    def pick(self, now: float, _key: str | None = None) -> Replica:
        """See `Picker`. Cost: a random number and a search in the table, log2 of the fleet."""
        totals = self._totals
        last = len(totals) - 1
        # Below the last: the product may be rounded up to the whole sum.
        replica = self._replicas[bisect_right(totals, self._random() * totals[last], 0, last)]
        self.compared = (replica,)
        return replica

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`; the table is remade at the next refresh."""

    def refresh(self, now: float) -> None:
        """See `Picker`."""
        self._totals = list(
            accumulate(
                replica.weight / (replica.cost_s * (1 + replica.refusals))
                for replica in self._replicas
            )
        )
