"""Any one at random, in proportion to weight.

It needs no memory, and many callers never fall into step. But chance is uneven: with a load of .9
each replica queues like a lone server, 10 service times against 2.6 with two choices (Mitzenmacher,
"The Power of Two Choices in Randomized Load Balancing", 1996/2001, whose column d = 1 it is). It is
the yardstick of the laboratory and of the benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..replica import Replica
from .draw import draw


class Chance:
    """Picks any one at random."""

    __slots__ = ("_random", "_replicas", "compared")

    def __init__(self, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            random: floats in [0, 1).
        """
        self._random = random
        self._replicas: Sequence[Replica] = ()
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`."""
        self._replicas = replicas

    def pick(self, now: float, _key: str | None = None) -> Replica:
        """See `Picker`. Cost: a random number, or two for each replica that weighs less than 1."""
        replica = draw(self._replicas, self._random)
        self.compared = (replica,)
        return replica

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`; load does not matter here."""

    def refresh(self, now: float) -> None:
        """See `Picker`; nothing is worked out ahead."""
