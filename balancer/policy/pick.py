"""Which replica: the less busy of two taken at random.

One random choice lets queues grow as 1/(1 - load); comparing two makes the longest queue
doubly-logarithmic in the number of servers, while looking at all of them makes every caller run
to the same idle one at once. Load is this process's own attempts in flight: it needs no message, is
never stale, and rises by itself on a replica that has stopped answering. It would mislead where one
refuses quickly: that one would always have the fewest in flight and draw every call. So each recent
refusal counts like an attempt in flight.

Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996/2001.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .replica import Replica


class TwoChoices:
    """Picks the one with fewer attempts in flight (and refusals) of two chosen at random."""

    __slots__ = ("_random",)

    def __init__(self, random: Callable[[], float]) -> None:
        """Hand in the random source.

        Args:
            random: returns a float in [0, 1), such as ``random.Random(seed).random``.
        """
        self._random = random

    def pick(self, replicas: Sequence[Replica]) -> Replica:
        """Pick one.

        Args:
            replicas: at least one.

        Cost: two random numbers, whatever the number of replicas.
        """
        count = len(replicas)
        if count == 1:
            return replicas[0]
        random = self._random
        first = int(random() * count)
        # The second is drawn among the others, so that the two are distinct.
        second = int(random() * (count - 1))
        if second >= first:
            second += 1
        one, other = replicas[first], replicas[second]
        # On a tie the first: it is as random as the second.
        lighter = other.in_flight + other.refusals < one.in_flight + one.refusals
        return other if lighter else one
