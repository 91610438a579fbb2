"""The replicas of one service as one process sees them: who they are, and which one a call gets.

Discovery says who exists, health who is well, reports who is loaded; this joins them, so that a
pick looks at one ready list. What attempts tell is written into the replicas' records here, on the
path of every call; what is concluded from it waits for the next step, twice a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import sqrt

from ..values import Endpoint, LoadReport
from .balancing import BalancingSettings
from .ejection import Ejector
from .grouping import Grouping
from .health import Health, OnHealth
from .outliers import OUTLIERS
from .pick import Picker, make_picker, signal_name
from .pick.draw import draw
from .probing import Prober
from .records import update_records
from .refusals import fade_refusals, forgive, hold_failure, hold_refusal
from .replica import UNHEARD_COST_S, Replica
from .signals import observe_peak
from .split import group_name
from .subset import Subset
from .upkeep import STEP_S, fade_reports, first_report, weigh

# Weight of the newest of our own latencies: forgets half in five attempts.
_NEWEST_LATENCY = 1 / 8
# Weight of the newest report's cost. A single one is as noisy as the requests behind it; three or
# four tell (laboratory: antagonists; from 0.1 to 0.6 it makes little difference, and 1 does harm).
_NEWEST_COST = 0.3
# Signals that go by what replicas report.
_REPORTED = frozenset({"reported", "latency", "expected"})
# A replica has measured nothing before it has answered some calls.
_COLD = 5
# A report's age is in whole seconds.
_SAME_AGE_S = 2.0


class Fleet:
    """The replicas of one service.

    Attributes:
        replicas: those that this process uses, by their address.
        available: those that may be picked: never empty while any is known.
    """

    __slots__ = (
        "_balancing",
        "_grouping",
        "_health",
        "_heard",
        "_look_at",
        "_observes_peak",
        "_picked_by",
        "_prober",
        "_random",
        "_reads_reports",
        "_step_at",
        "_stepped_at",
        "_subset",
        "available",
        "replicas",
    )

    def __init__(
        self,
        balancing: BalancingSettings,
        ejector: Ejector,
        random: Callable[[], float],
        on_health: OnHealth = lambda replica, change, why: None,
    ) -> None:
        """Begin empty.

        Args:
            balancing: how to pick among those available.
            ejector: decides ejections.
            random: floats in [0, 1), for picks.
            on_health: told of each change of health.
        """
        self._balancing = balancing
        self._random = random
        self._health = Health(ejector, on_health)
        self._look_at = self._step_at = self._stepped_at = float("-inf")
        self._heard = 0
        self._prober = Prober()
        self._observes_peak = balancing.signal == "peak-ewma"
        self._reads_reports = signal_name(balancing) in _REPORTED
        self._grouping = Grouping(balancing, random)
        self._subset = Subset(
            balancing.subset, lambda endpoint: group_name(endpoint, balancing), random
        )
        # Whoever picked last, for the decision log.
        self._picked_by: Picker | None = None
        self.replicas: dict[str, Replica] = {}
        self.available: list[Replica] = []

    def update(self, endpoints: Iterable[Endpoint], now: float) -> list[Replica]:
        """Take discovery's word for who exists.

        Args:
            endpoints: all of the service's endpoints.
            now: monotonic seconds.

        Returns:
            The records that are gone.
        """
        gone = update_records(self.replicas, self._subset.choose(endpoints), now)
        self._weigh(now)
        self._health.update(list(self.replicas.values()), now)
        self._regroup()
        return gone

    def pick(
        self,
        now: float,
        tried: tuple[Replica, ...] = (),
        *,
        may_probe: bool = True,
        key: str | None = None,
    ) -> Replica | None:
        """Pick a replica for one attempt; whoever begins it counts it in the record.

        Args:
            now: monotonic seconds.
            tried: replicas that this call has tried: another is preferred.
            may_probe: whether the call may serve as a probe: one that cannot be tried again
                should not be risked on a replica that was ill.
            key: what the call's answer depends on; None when it declares none.

        Returns:
            A replica, or None when none is known.
        """
        if now >= self._look_at:
            probed = self._look(now, tried, may_probe=may_probe)
            if probed is not None:
                return probed
        if tried:
            return self._pick_another(now, tried)
        grouping = self._grouping
        picker = grouping.only or grouping.draw() if key is None else grouping.keyed(key)
        self._picked_by = picker
        return picker.pick(now, key) if picker is not None else None

    def probe(self, now: float) -> Replica | None:
        """Whether the call that is being made now should bring a load probe, and of which replica.

        Returns:
            A replica to be asked for its load, or None.
        """
        due = self._reads_reports and self._prober.due(now)
        if self._health.suspects:
            return self._health.take_suspect()
        return draw(self.available, self._random) if due and len(self.available) > 1 else None

    def spoke(self, replica: Replica) -> None:
        """Take note of a sign of life: an answer of whatever kind, to a load probe too."""
        replica.silent = 0

    def heard(
        self, replica: Replica, now: float, report: LoadReport, latency_s: float = 0.0
    ) -> None:
        """Take note of a replica's load, as told on a good answer or to a load probe.

        Args:
            replica: whose.
            now: monotonic seconds.
            report: what it says.
            latency_s: how long the answer took, in seconds, for a report that tells no latency; 0
                for a load probe's, which says nothing of the others.
        """
        reported_s = report.latency_ms / 1000
        if not reported_s and replica.answers > _COLD:
            reported_s = latency_s  # it tells no latency; one that has just started tells it soon
        self._take_report(replica, now, report.in_flight, reported_s)
        self._prober.heard(now)
        age_s = report.age_s
        known_s = now - replica.born
        if min(age_s, known_s) < self._balancing.warmup_s and abs(age_s - known_s) > _SAME_AGE_S:
            replica.born = now - age_s
            self._weigh(now)

    def succeeded(
        self,
        replica: Replica,
        now: float,
        number: int,
        latency_s: float | None = None,
        report: LoadReport | None = None,
    ) -> None:
        """Take note of an answer that says nothing bad of the replica.

        Args:
            replica: whose answer it is.
            now: monotonic seconds.
            number: the attempt's; likewise below.
            latency_s: how long the attempt took, in seconds; None when that says nothing, because
                the call was rejected.
            report: the load that came with it, or None.
        """
        replica.silent = 0
        if number <= replica.settled:
            return
        if replica.failures or replica.refusals or replica.ejected_until or replica.gone:
            replica.gone = False
            forgive(replica)
            if self._health.answered(replica, now, latency_s):
                self._regroup()
        replica.answers += 1.0
        if latency_s is not None:
            replica.answered_at = now
            if latency_s > self._health.usual.slow_s:
                replica.slow += 1.0
            known_s = replica.latency_s
            replica.latency_s = (
                known_s + (latency_s - known_s) * _NEWEST_LATENCY if known_s else latency_s
            )
            if self._observes_peak:
                observe_peak(replica, latency_s, now)
            # Only good answers' reports are believed: whoever fails fast looks idle.
            if report is not None:
                self.heard(replica, now, report, latency_s)
            else:
                # What we see ourselves stands in for it.
                self._take_report(replica, now, replica.in_flight, latency_s)
        else:
            replica.rejections += 1.0

    def failed(
        self, replica: Replica, now: float, number: int, *, connecting: bool = False
    ) -> None:
        """Take note of a failed attempt."""
        if number <= replica.settled or not self._is_known(replica):
            return
        hold_failure(replica)
        replica.faults += 1.0
        # Whatever it was, what is there may be silent from now on.
        replica.silent = replica.silent or 1
        if self._health.failed(replica, now, connecting=connecting):
            self._regroup()

    def refused(self, replica: Replica, now: float, number: int, *, full: bool = True) -> None:
        """Take note of a refusal: busy is not broken, but there is no room there.

        Ejecting would make the others busier; counting it as load sends calls where they are taken.

        Args:
            replica: who refused.
            now: monotonic seconds.
            number: the attempt's.
            full: whether it was for lack of room, and not of time.
        """
        replica.silent = 0
        if number <= replica.settled:
            return
        if self._health.refused(replica, now):
            self._regroup()
        if full:
            hold_refusal(replica, self.replicas.values())

    def abandoned(self, replica: Replica, now: float, number: int, waited_s: float) -> None:
        """Take note of an attempt that was given up before it told anything.

        Args:
            replica: who had it.
            now: monotonic seconds.
            number: the attempt's.
            waited_s: for how long it had it, in seconds.
        """
        if number <= replica.settled:
            return
        if waited_s > self._health.usual.slow_s:
            # Its answer would have been slow; under hedging the slow ones' seldom come.
            replica.answers += 1.0
            replica.slow += 1.0
        if self._health.abandoned(replica, now, number, waited_s):
            self._regroup()

    def drained(self, replica: Replica, now: float, number: int) -> None:
        """Take note that a replica said it is leaving."""
        if replica.draining or number <= replica.settled or not self._is_known(replica):
            return
        if self._health.drained(replica, now):
            self._regroup()

    def misdirected(self, replica: Replica, now: float, number: int) -> None:
        """Take note that another service answers where a replica was."""
        if number <= replica.settled or not self._is_known(replica):
            return
        if replica.gone and replica.draining:
            return
        replica.gone = True
        if self._health.drained(replica, now, "misdirected"):
            self._regroup()

    def is_gone(self, endpoint: Endpoint) -> bool:
        """Whether calls have found that nobody is there any more.

        One that is ejected for being worse than the others is there. One that says it is leaving
        still answers: it is gone when there are others, and when there are none the last resort.

        Args:
            endpoint: one that discovery has told of.
        """
        replica = self.replicas.get(endpoint.address)
        if replica is None:
            return False
        if replica.gone or replica.connect_failures:
            return True
        if replica.ejected_until and replica.ejected_for not in OUTLIERS:
            return True
        return replica.draining and any(not other.draining for other in self.replicas.values())

    def compared(self) -> Sequence[Replica]:
        """The replicas that the last pick looked at, for the decision log."""
        return self._picked_by.compared if self._picked_by is not None else ()

    def _take_report(self, replica: Replica, now: float, in_flight: int, latency_s: float) -> None:
        others = in_flight - replica.in_flight
        # Less than nought when our own are still on their way.
        replica.others = others if others > 0 else 0  # noqa: FURB136 - max() costs more here
        if latency_s <= 0:
            return
        replica.report_latency_s = latency_s
        cost_s = latency_s / sqrt(in_flight + 1)
        if replica.heard_at:
            replica.cost_s += (cost_s - replica.cost_s) * _NEWEST_COST
        else:
            if replica.cost_s == UNHEARD_COST_S:  # nothing was heard of any yet
                first_report(self.available, cost_s)
            replica.cost_s = cost_s
        replica.heard_at = now
        self._heard += 1
        self._grouping.heard(replica, now)

    def _pick_another(self, now: float, tried: tuple[Replica, ...]) -> Replica | None:
        """For another attempt: one that was not tried, of all groups, and by load alone.

        An ejected one is better than the same again; one that is leaving is not.
        """
        candidates = [replica for replica in self.available if replica not in tried]
        if not candidates:
            staying = [replica for replica in self.replicas.values() if not replica.draining]
            candidates = [replica for replica in staying if replica not in tried] or self.available
        if not candidates:
            return None
        picker = self._picked_by = make_picker(self._balancing, self._random)
        picker.update(candidates)
        return picker.pick(now, None)

    def _look(self, now: float, tried: tuple[Replica, ...], *, may_probe: bool) -> Replica | None:
        """Do what is due; a replica if the call that is being made is to be its probe."""
        health = self._health
        if now >= health.look_at and health.look(now):
            self._regroup()
        if now >= self._step_at:
            self._step(now)
        probed = health.take_probe(now, tried, may_probe=may_probe)
        self._look_at = min(health.probe_at, health.look_at, self._step_at)
        return probed

    def _step(self, now: float) -> None:
        """Do what is done twice a second."""
        every = list(self.replicas.values())
        passed_s = now - self._stepped_at
        fade_refusals(every, passed_s)
        fade_reports(every, now, passed_s, self._heard, self._health.usual.latency_s)
        self._heard = 0
        self._weigh(now)
        if self._health.step(now, passed_s):
            self._regroup()
        if self._health.usual.latency_s:
            self._prober.stale_s = self._health.usual.latency_s
        self._grouping.refresh(now)
        self._stepped_at = now
        self._step_at = now + STEP_S

    def _is_known(self, replica: Replica) -> bool:
        return self.replicas.get(replica.endpoint.address) is replica

    def _weigh(self, now: float) -> None:
        weigh(list(self.replicas.values()), now, self._balancing.warmup_s)

    def _regroup(self) -> None:
        health = self._health
        self.available = health.available
        self._look_at = min(health.probe_at, health.look_at, self._step_at)
        self._grouping.update(self.available, list(self.replicas.values()))
