"""Which replicas are well enough to be picked now.

It joins all that tells of illness (failures in a row, outliers, silence) and holds what keeps
health from doing harm:

- *Never all*: an ejection that would leave less than a third of the fleet (rounded down, and never
  nobody) is refused; when most seem ill, the fault is more likely ours or the network's, and
  half-ill replicas serve more calls than none. What is only worse than the others (outliers) must
  leave half.
- *Panic*: when well replicas leave, and more than half of those that stay are ejected, all of these
  are restored at once: the few that are left would have to bear everything. What is ill is ejected
  again as soon as it shows, for longer, and as far as the first rule lets it.
- *One probe*: a replica on probation gets a single call until that call has told. One that was
  ejected for its latency is judged by the latency of its probe too: a good answer that is slow
  ejects it again. So is one that was ejected for its rejections by another.

Attempts have numbers (``Replica.attempts`` when they began), because their outcomes may come late:
one that began before an ejection says nothing of how the replica is now, and is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from .ejection import Ejector
from .outliers import Usual, fade_attempts, find_outlier, find_usual
from .replica import Reason, Replica
from .silence import asked, find_frozen, look_for_silent, look_period_s
from .upkeep import STEP_S

# The share of the fleet that ejection always leaves.
_KEPT_RATIO = 1 / 3
# A call that cannot be repeated is not risked on a replica that was ill until its probe is overdue
# by so much (seconds): then, it seems, no other kind of call is made, and somebody must try.
_RELUCTANT_S = 5.0
_NEVER = float("inf")

# Told of a replica, of what changed ("ejected", "restored" or "kept", an ejection refused), and
# why: a `Reason`, that of the ejection for one that is restored, or "panic".
OnHealth: TypeAlias = Callable[[Replica, str, str], None]


class Health:
    """The health of one fleet. What returns a bool tells whether an attribute has changed.

    Attributes:
        available: those that may be picked: never empty while any is known.
        probe_at: when the next probe is due, in monotonic seconds.
        look_at: when the next look for silent ones is due, in monotonic seconds.
        suspects: silent ones that should be asked for their load.
        usual: the latency that is usual in the fleet.
    """

    __slots__ = (
        "_ejector",
        "_every",
        "_judge_at",
        "_on_health",
        "available",
        "look_at",
        "probe_at",
        "suspects",
        "usual",
    )

    def __init__(self, ejector: Ejector, on_health: OnHealth) -> None:
        """Begin without replicas.

        Args:
            ejector: decides about rows of failures, and times.
            on_health: see `OnHealth`.
        """
        self._ejector = ejector
        self._on_health = on_health
        self._every: Sequence[Replica] = ()
        self._judge_at = float("-inf")
        self.suspects: list[Replica] = []
        self.available: list[Replica] = []
        self.probe_at = _NEVER
        self.look_at = float("-inf")
        self.usual = Usual()

    def update(self, every: Sequence[Replica], now: float) -> None:
        """Take the replicas that are known from now on.

        Args:
            every: all of them.
            now: monotonic seconds.
        """
        before = self._count_well()
        self._every = every
        self.suspects = []
        self._rebuild()
        self._relieve(before, now)

    # What attempts tell; the late ones are not brought here.

    def answered(self, replica: Replica, now: float, latency_s: float | None) -> bool:
        """Take note of an answer after failures, refusals or an ejection.

        Args:
            replica: whose.
            now: monotonic seconds.
            latency_s: how long it took; None when it rejected the call.
        """
        if replica.ejected_until:
            why = replica.ejected_for
            rejected = latency_s is None
            slow = latency_s is not None and latency_s > self.usual.slow_s
            if (why == "latency" and slow) or (why == "rejections" and rejected):
                return replica.probing and self._eject(replica, now, why)
        return self._restore(replica, now)

    def failed(self, replica: Replica, now: float, *, connecting: bool) -> bool:
        """Take note of a failed attempt; eject when it was one too many."""
        why = self._ejector.failed(replica, connecting=connecting)
        if why is None:
            return False
        if replica.ejected_until or self._may_eject(replica):
            return self._eject(replica, now, why)
        self._on_health(replica, "kept", why)
        return False

    def refused(self, replica: Replica, now: float) -> bool:
        """Take note of a refusal: a probe asks whether the replica is there, and it is."""
        replica.connect_failures = 0
        return replica.probing and self._restore(replica, now)

    def abandoned(self, replica: Replica, now: float, number: int, waited_s: float) -> bool:
        """Take note of an attempt that was given up before it told anything.

        A probe that has had the usual time, and was given up for a hedge, was no good one: it
        would be followed by another at once, and each call would wait for a hedge.
        """
        if replica.probing and number == replica.settled + 1:
            if 0 < self.usual.latency_s < waited_s:
                return self._eject(replica, now, replica.ejected_for)
            replica.probing = False
            self._rebuild()
            return True
        return False

    def drained(self, replica: Replica, now: float, why: Reason = "draining") -> bool:
        """Take note that a replica said it is leaving, or is none of the service's."""
        if replica.endpoint.pid:
            before = self._count_well()
            replica.draining = True
            self._rebuild()
            self._relieve(before, now)
            return True
        # Nothing will tell of the process that comes after it: it must be tried now and then.
        if replica.ejected_until or self._may_eject(replica):
            return self._eject(replica, now, why)
        return False

    # What time brings.

    def take_probe(
        self, now: float, tried: tuple[Replica, ...], *, may_probe: bool
    ) -> Replica | None:
        """Choose a replica whose probe is due, for the call that is being made."""
        since = now if may_probe else now - _RELUCTANT_S
        if since < self.probe_at:
            return None
        for replica in self._every:
            due = replica.ejected_until and replica.ejected_until <= since
            if due and not replica.probing and not replica.draining and replica not in tried:
                replica.probing = True
                replica.settled = replica.attempts
                self._rebuild()
                return replica
        return None

    def take_suspect(self) -> Replica:
        """The next of `suspects`; it is being asked for its load now."""
        replica = self.suspects.pop()
        asked(replica)
        return replica

    def look(self, now: float) -> bool:
        """Look for silent ones, and for outliers; `look_at` tells when."""
        silence_s = self._ejector.settings.silence_s
        self.look_at = now + look_period_s(silence_s, self.usual.latency_s)
        self.suspects = look_for_silent(self.available)
        # One at a look: the others' load grows with each.
        for replica in find_frozen(self.available)[:1]:
            if self._may_eject(replica):
                return self._eject(replica, now, "silence")
            self._on_health(replica, "kept", "silence")
        return self._judge(now)

    def step(self, now: float, passed_s: float) -> bool:
        """Work out what is usual, and who stands out; twice a second.

        Args:
            now: monotonic seconds.
            passed_s: since it was done last.
        """
        self.usual = find_usual(self.available, self._ejector.settings)
        ejected = self._judge(now)
        # After the judgement: five bad ones of just now are five.
        fade_attempts(self._every, passed_s)
        return ejected

    def _judge(self, now: float) -> bool:
        """Eject an outlier, if there is one, and none was ejected just now."""
        if now < self._judge_at or 2 * (len(self.available) - 1) < len(self._every):
            return False
        found = find_outlier(self.available, self._ejector.settings.outlier_share)
        if found is None:
            return False
        self._judge_at = now + STEP_S
        return self._eject(found[0], now, found[1])

    def _may_eject(self, replica: Replica) -> bool:
        left = sum(other is not replica for other in self.available)
        return left >= max(1, int(len(self._every) * _KEPT_RATIO))

    def _eject(self, replica: Replica, now: float, why: Reason) -> bool:
        self._ejector.eject(replica, now, why)
        self.suspects = [other for other in self.suspects if other is not replica]
        self._rebuild()
        self._on_health(replica, "ejected", why)
        return True

    def _restore(self, replica: Replica, now: float, why: str = "") -> bool:
        if not self._ejector.succeeded(replica, now):
            return False
        # What was known of it is of the time before. With a single refusal held against it, it
        # would get no call of a caller that has few in flight.
        replica.heard_at = replica.others = replica.latency_s = replica.peak_s = 0.0
        replica.refusals = 0
        self._rebuild()
        self._on_health(replica, "restored", why or replica.ejected_for)
        return True

    def _count_well(self) -> int:
        return sum(not replica.ejected_until for replica in self.available)

    def _relieve(self, before: int, now: float) -> None:
        """Restore all, if some of the well ones have left, and the rest are fewer than the ill.

        Args:
            before: how many were well.
            now: monotonic seconds.
        """
        ill = [replica for replica in self._stay() if replica.ejected_until]
        if len(ill) > self._count_well() < before:
            for replica in ill:
                self._restore(replica, now, "panic")

    def _stay(self) -> list[Replica]:
        return [replica for replica in self._every if not replica.draining] or list(self._every)

    def _rebuild(self) -> None:
        staying = self._stay()
        self.available = [replica for replica in staying if not replica.ejected_until] or staying
        self.probe_at = min(
            (r.ejected_until for r in staying if r.ejected_until and not r.probing),
            default=_NEVER,
        )
