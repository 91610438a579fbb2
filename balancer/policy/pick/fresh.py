"""Those heard of just now, and one drawn by speed: whoever would answer first. The default.

Two facts decide how well a replica is picked. Its *load* changes within the time of a request, so
only the newest reports tell it: every good answer brings one, and the three replicas that were
heard of last are always compared. A report is used once, and then comes after all those that were
not: in dense traffic calls thereby go to whoever has just become free (Lu et al.,
"Join-Idle-Queue", 2011). How *fast* a replica is changes slowly, and is learned from every report
ever heard: a fourth candidate is drawn in proportion to speed, so that all are used, each as much
as it can bear, even by a caller that sends one call a minute. Of these the one wins where a call
would take the least time, as far as the reports tell (signal *expected*).

A replica that seemed slow once would lose every comparison, and nobody would learn that it no
longer is. So where reports are plenty, one that has answered nothing for two seconds gets the call
for which it is drawn: a replica that stays slow costs half a call a second. (Answers to load probes
do not count: without requests a replica repeats the latency that it last measured.)

Comparing more stale reports makes it worse, not better: every caller would run to the same one
(Mitzenmacher, "How Useful Is Old Information?", 2000; Dahlin, "Interpreting Stale Load
Information", 2000). So only the newest three count as news, and only for a second, as in Prequal
(Wydrowski et al., "Load is not what you should balance", NSDI 2024), whose pool of sixteen probed
reports is the *hot-cold* pick. When replicas report nothing (they are no part of the mesh), what
this process sees of them itself stands in: its own attempts there, and how long they took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..replica import Replica
from ..signals import Signal
from .draw import draw_fast

# A report is news for so long (seconds): Prequal's own figure.
FRESH_S = 1.0
# Whoever is to win over the one drawn must be better by so much of what one call weighs there.
# Smaller differences are noise, and of idle replicas one that is faster by a hair would get nearly
# all calls; at 0.3 nothing is lost yet in the laboratory (at 0.4 queues grow by 4 %).
_MARGIN = 0.3
# So many of the news are compared, and so many are kept in store.
_COMPARED = 3
_KEPT = 16
# In plenty: so many reports for each replica between two refreshes. Where there are fewer, a caller
# often does not hear of a replica for seconds, and it means nothing.
_PLENTY = 10
_FORGOTTEN_S = 2.0
_NEVER = float("inf")


class Fresh:
    """Picks the best of the three heard of last and one drawn by speed."""

    __slots__ = (
        "_forgotten_s",
        "_heard",
        "_news",
        "_pace_s",
        "_random",
        "_replicas",
        "_signal",
        "compared",
    )

    def __init__(self, signal: Signal, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            signal: what to compare.
            random: floats in [0, 1).
        """
        self._signal = signal
        self._random = random
        self._replicas: Sequence[Replica] = ()
        # The replicas that were heard of lately, the best news at the end: the newest that was not
        # used yet. What was used stands at the beginning.
        self._news: list[Replica] = []
        self._pace_s = 0.0
        self._heard = 0
        self._forgotten_s = _NEVER
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`."""
        self._replicas = replicas
        if self._news:
            here = set(replicas)
            self._news = [replica for replica in self._news if replica in here]
        self._find_pace()

    def pick(self, now: float, _key: str | None = None) -> Replica:
        """See `Picker`. Cost: two random numbers and four signals, however many replicas."""
        replicas = self._replicas
        signal = self._signal
        best = draw_fast(replicas, self._random, self._pace_s)
        forgotten = best.answered_at < now - self._forgotten_s
        if forgotten and not best.in_flight and not best.refusals:
            self.compared = (best,)
            return best
        lowest = signal(best, now)
        lowest -= lowest * _MARGIN / (best.others + best.in_flight + 1)
        recently = now - FRESH_S
        news = self._news
        compared = [best]
        for replica in news[: -1 - _COMPARED : -1]:
            if replica.heard_at >= recently and replica is not best:
                compared.append(replica)
                load = signal(replica, now)
                if load < lowest:
                    best, lowest = replica, load
        if len(compared) < 2:
            # Too little news: a second draw stands in for it.
            other = draw_fast(replicas, self._random, self._pace_s)
            if other is not best:
                compared.append(other)
                if signal(other, now) < lowest:
                    best = other
        self.compared = compared
        if best in news:
            news.remove(best)
            news.insert(0, best)
        return best

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`."""
        self._heard += 1
        news = self._news
        if replica in news:
            news.remove(replica)
        elif len(news) == _KEPT:
            del news[0]
        news.append(replica)
        pace_s = replica.cost_s / replica.weight
        if pace_s < self._pace_s:  # noqa: PLR1730 - min() costs three times as much here
            self._pace_s = pace_s

    def refresh(self, now: float) -> None:
        """See `Picker`."""
        plenty = self._heard >= _PLENTY * len(self._replicas)
        self._forgotten_s = _FORGOTTEN_S if plenty else _NEVER
        self._heard = 0
        self._find_pace()

    def _find_pace(self) -> None:
        self._pace_s = min(replica.cost_s / replica.weight for replica in self._replicas)
