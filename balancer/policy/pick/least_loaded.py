"""The least loaded of all.

One caller that sees all the load there is (a single dispatcher) cannot do better than to join the
shortest queue. With many callers, or a signal that is stale, it does harm: all of them see the same
idle replica and run to it at once (Mitzenmacher, "How Useful Is Old Information?", 2000). That, and
its cost, is why two choices are the rule and this is not.

Ties are broken at random among all that tie, in proportion to weight: idle replicas would otherwise
be taken in the order of the list, and the first one's cache alone would stay warm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..replica import Replica
from ..signals import Signal
from .draw import draw


class LeastLoaded:
    """Picks the least loaded of all."""

    __slots__ = ("_random", "_replicas", "_signal", "compared")

    def __init__(self, signal: Signal, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            signal: what to compare.
            random: floats in [0, 1).
        """
        self._signal = signal
        self._random = random
        self._replicas: Sequence[Replica] = ()
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`."""
        self._replicas = self.compared = replicas

    def pick(self, now: float, _key: str | None = None) -> Replica:
        """See `Picker`. Cost: a signal for each replica, so it grows with the fleet."""
        signal = self._signal
        loads = [signal(replica, now) for replica in self._replicas]
        lowest = min(loads)
        if loads.count(lowest) == 1:
            return self._replicas[loads.index(lowest)]
        ties = [one for one, load in zip(self._replicas, loads, strict=True) if load == lowest]
        return draw(ties, self._random)

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`; the records say enough."""

    def refresh(self, now: float) -> None:
        """See `Picker`; nothing is worked out ahead."""
