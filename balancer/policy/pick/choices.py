"""The least loaded of a few taken at random.

One random choice lets queues grow as 1/(1 - load); comparing two makes the longest queue
doubly-logarithmic in the number of servers, while looking at all of them makes every caller run
to the same idle one at once. More choices than two gain little more.

Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996/2001.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..replica import Replica
from ..signals import Signal
from .draw import draw


class Choices:
    """Picks the least loaded of ``choices`` distinct ones drawn at random."""

    __slots__ = ("_choices", "_random", "_replicas", "_signal", "compared")

    def __init__(self, signal: Signal, choices: int, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            signal: what to compare.
            choices: how many to compare.
            random: floats in [0, 1), such as ``random.Random(seed).random``.
        """
        self._signal = signal
        self._choices = choices
        self._random = random
        self._replicas: Sequence[Replica] = ()
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`."""
        self._replicas = replicas

    def pick(self, now: float, _key: str | None = None) -> Replica:
        """See `Picker`. Cost: a draw and a signal for each choice, however many replicas."""
        replicas = self._replicas
        random = self._random
        best = draw(replicas, random)
        if len(replicas) == 1 or self._choices == 1:
            self.compared = (best,)
            return best
        if self._choices == 2:
            other = self._draw_another((best,))
            self.compared = (best, other)
            # On a tie the first: it is as random as the second.
            signal = self._signal
            return other if signal(other, now) < signal(best, now) else best
        drawn = [best]
        for _ in range(min(self._choices, len(replicas)) - 1):
            drawn.append(self._draw_another(drawn))
        self.compared = drawn
        return min(drawn, key=lambda replica: self._signal(replica, now))

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`; the records say enough."""

    def refresh(self, now: float) -> None:
        """See `Picker`; nothing is worked out ahead."""

    def _draw_another(self, drawn: Sequence[Replica]) -> Replica:
        other = draw(self._replicas, self._random)
        if other not in drawn:
            return other
        # As seldom as there are many, so what it costs is the same in every fleet.
        rest = [replica for replica in self._replicas if replica not in drawn]
        return draw(rest, self._random)
