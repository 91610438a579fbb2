"""Each in its turn.

With equal replicas and equal requests nothing is smoother: arrivals at each replica are as even as
they can be, and at low load that beats two random choices. It does not look at load at all, so one
slow replica goes on getting its full share; it is here as the measure of the others, and for
services whose replicas and requests really are alike.

A replica that weighs less than the heaviest is passed over in proportion: each turn adds its weight
to its credit, and a whole credit is one call. The start is at random, and so are the first credits:
many callers that begin at one moment must not march in step.

Source: the rotation is folklore; turns by credit are deficit round robin (Shreedhar and Varghese,
1995).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..replica import Replica


class RoundRobin:
    """Picks each in its turn."""

    __slots__ = ("_credits", "_heaviest", "_next", "_random", "_replicas", "compared")

    def __init__(self, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            random: floats in [0, 1).
        """
        self._random = random
        self._replicas: Sequence[Replica] = ()
        self._next = 0
        # By place: what each has saved up towards its next call, from 0 to below 1.
        self._credits: list[float] = []
        self._heaviest = 1.0
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`; the turn stays where it was."""
        random = self._random
        count = len(replicas)
        if not self._replicas:
            self._next = int(random() * count)
        else:
            following = self._replicas[self._next]
            try:
                self._next = replicas.index(following)
            except ValueError:  # it has left, and whoever came after it has its place
                self._next %= count
        self._replicas = replicas
        self._credits = [random() for _ in replicas]
        self.refresh(0.0)

    def pick(self, now: float, _key: str | None = None) -> Replica:
        """See `Picker`.

        Cost: one look when all weigh the same; else as many as the heaviest is heavier than the
        mean, and never more than there are replicas.
        """
        replicas = self._replicas
        place = self._next
        while True:
            replica = replicas[place]
            weight = replica.weight
            if weight >= self._heaviest:
                break
            credit = self._credits[place] + weight / self._heaviest
            if credit >= 1.0:
                self._credits[place] = credit - 1.0
                break
            self._credits[place] = credit
            place += 1
            if place == len(replicas):
                place = 0
        self._next = place + 1 if place + 1 < len(replicas) else 0
        self.compared = (replica,)
        return replica

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`; load does not matter here."""

    def refresh(self, now: float) -> None:
        """See `Picker`."""
        self._heaviest = max(replica.weight for replica in self._replicas)
