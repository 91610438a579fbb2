"""The fastest of those that are not busy: after Prequal.

What matters to a call is latency, and the latency that a replica reports follows its load only when
the load has done its harm; requests in flight tell it before. So of a pool of replicas that were
heard of lately, those with more in flight than most (above the .84 quantile of what was reported)
are *hot*. Of the cold ones the fastest is picked; when all are hot, the one with the fewest in
flight. Calls then go to fast machines as long as these are not overrun.

Source: Wydrowski, Kleinberg, Rumble, Archer, "Load is not what you should balance: Introducing
Prequal", NSDI 2024. Its pool of 16, its age of 1 s and its quantile are kept (.84 is one standard
deviation above the mean, were they normal). Its three probes a call to random replicas are not:
the pool is filled by the reports that ride on answers, and by probes when these are sparse
(`balancer.policy.probing`). So two figures differ. A report is used once, as Prequal's formula has
it for many replicas: answers come only from whom one picks, and a pool that is used again and again
closes itself against all others (laboratory: supermarket, 100 replicas, ended with 16 in use).
And what leaves unused, in turn the oldest and the worst, so that the pool does not fill with what
nobody would pick, leaves with every fourth call: there with each, from three times the reports, and
here one a call empties the pool (laboratory: antagonists, p99 at load 1.74 then 1.2 s, so 0.55 s).

A pool entry is the replica's record itself, so what this process begins and ends there counts at
once. When less than two replicas are in the pool, two drawn at random are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..replica import Replica
from ..signals import Signal
from .choices import Choices

_POOL = 16
# How long a report is believed (seconds).
_AGE_S = 1.0
_HOT_QUANTILE = 0.84
# The quantile is of so many reports, the newest, and worked out anew with every sixteenth: loads of
# the last seconds are wanted, and a sort at each report would cost more than the pick.
_SAMPLE = 128
_SAMPLE_STEP = 16
# Of so many picks, those after which the oldest and the worst report leave.
_TURNS = 8
_OLDEST_TURN, _WORST_TURN = 1, 5


class HotCold:
    """Picks the fastest cold one of the pool."""

    __slots__ = (
        "_cool",
        "_heard",
        "_loads",
        "_picks",
        "_pool",
        "_stranger",
        "compared",
    )

    def __init__(self, signal: Signal, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            signal: what to compare when the pool is empty.
            random: floats in [0, 1).
        """
        self._stranger = Choices(signal, 2, random)
        # The replicas heard of lately, the one heard of last at the end.
        self._pool: list[Replica] = []
        self._picks = 0
        # What was reported to be in flight; the newest takes the oldest one's place.
        self._loads: list[float] = []
        self._heard = 0
        # Whoever has more in flight is hot.
        self._cool = 0.0
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`."""
        self._stranger.update(replicas)
        if self._pool:
            here = set(replicas)
            self._pool = [replica for replica in self._pool if replica in here]

    def pick(self, now: float, _key: str | None = None) -> Replica:
        """See `Picker`. Cost: a look at each replica of the pool, 16 at most."""
        pool = self._pool
        recently = now - _AGE_S
        while pool and pool[0].heard_at < recently:
            del pool[0]
        if len(pool) < 2:
            replica = self._stranger.pick(now)
            self.compared = self._stranger.compared
            return replica
        self.compared = tuple(pool)
        cool = self._cool
        fastest = slowest = idlest = hottest = None
        least_s = most_s = least = most = 0.0
        for replica in pool:
            load = (replica.others + replica.in_flight + replica.refusals) / replica.weight
            if load <= cool:
                latency_s = replica.report_latency_s
                if fastest is None or latency_s < least_s:
                    fastest, least_s = replica, latency_s
                if latency_s >= most_s:
                    slowest, most_s = replica, latency_s
            else:
                if idlest is None or load < least:
                    idlest, least = replica, load
                if load >= most:
                    hottest, most = replica, load
        picked = fastest or idlest
        assert picked is not None
        pool.remove(picked)
        self._picks += 1
        turn = self._picks % _TURNS
        if turn == _OLDEST_TURN:
            del pool[0]
        elif turn == _WORST_TURN:
            worst = hottest or slowest
            if worst is not None and worst is not picked:
                pool.remove(worst)
        return picked

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`."""
        pool = self._pool
        if replica in pool:
            pool.remove(replica)
        elif len(pool) == _POOL:
            del pool[0]
        pool.append(replica)
        load = replica.others + replica.in_flight
        loads = self._loads
        if len(loads) < _SAMPLE:
            loads.append(load)
        else:
            loads[self._heard % _SAMPLE] = load
        self._heard += 1
        if not self._heard % _SAMPLE_STEP or self._heard < _SAMPLE_STEP:
            self._cool = sorted(loads)[int(_HOT_QUANTILE * len(loads))]

    def refresh(self, now: float) -> None:
        """See `Picker`; nothing changes slowly here."""
