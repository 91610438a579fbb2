"""Which replicas may be picked now: the membership and health of one service's fleet.

Discovery says who exists; ejection says who is well; this joins the two, so that a pick looks at
one ready list. Two rules keep health from doing harm. *Never all*: an ejection that would leave
less than a third of the fleet (rounded down, and never nobody) is refused; when most seem ill, the
fault is more likely ours or the network's, and half-ill replicas serve more calls than none. *One
probe*: a replica on probation gets a single call until that call has told.

Attempts have numbers (``Replica.attempts`` when they began), because their outcomes may come late:
one that began before an ejection says nothing of how the replica is now, and is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import exp

from ..values import Endpoint
from .ejection import Ejector
from .pick import TwoChoices
from .replica import Replica

# The share of the fleet that ejection always leaves.
_KEPT_RATIO = 1 / 3
# A call that cannot be repeated is not risked on a replica that was ill until its probe is overdue
# by so much (seconds): then, it seems, no other kind of call is made, and somebody must try.
_RELUCTANT_S = 5.0
# Refusals are forgotten with this time constant (seconds). A replica that refuses everything then
# gets about (latency / 10 s) of the calls, and a good answer halves what is held against it. More
# than the busiest replica's load is held against nobody for longer than a step: it would not turn
# more calls away now, and after a time in which all refused it would leave some of them idle.
_REFUSAL_FADE_S = 10.0
_FADE_STEP_S = 0.5
_FORGOTTEN = 0.1
_NEVER = float("inf")


def _process(endpoint: Endpoint) -> tuple[int, float]:
    """What tells a restarted process from the one before; in containers all have one number."""
    return endpoint.pid, endpoint.started


class Fleet:
    """The replicas of one service.

    Attributes:
        replicas: all known, by their address.
        available: those that may be picked: never empty while any is known.
    """

    __slots__ = (
        "_ejector",
        "_fade_at",
        "_faded_at",
        "_look_at",
        "_on_health",
        "_pick",
        "_probe_at",
        "available",
        "replicas",
    )

    def __init__(
        self,
        pick: TwoChoices,
        ejector: Ejector,
        on_health: Callable[[Replica, str], None] = lambda replica, change: None,
    ) -> None:
        """Begin empty.

        Args:
            pick: chooses among those available.
            ejector: decides ejections.
            on_health: told of each change: "ejected", "restored" or "kept" (an ejection refused).
        """
        self._pick = pick
        self._ejector = ejector
        self._on_health = on_health
        self._probe_at = self._fade_at = self._look_at = _NEVER
        self._faded_at = 0.0
        self.replicas: dict[str, Replica] = {}
        self.available: list[Replica] = []

    def update(self, endpoints: Iterable[Endpoint]) -> list[Replica]:
        """Take discovery's word for who exists.

        A replica keeps its record while its address and process stay the same.

        Args:
            endpoints: all of the service's endpoints.

        Returns:
            The records that are gone.
        """
        wanted = {endpoint.address: endpoint for endpoint in endpoints}
        gone = []
        for address, replica in list(self.replicas.items()):
            endpoint = wanted.get(address)
            if endpoint is None or _process(endpoint) != _process(replica.endpoint):
                gone.append(self.replicas.pop(address))
            else:
                replica.endpoint = endpoint
        for address, endpoint in wanted.items():
            if address not in self.replicas:
                self.replicas[address] = Replica(endpoint)
        self._rebuild()
        return gone

    def pick(
        self, now: float, tried: tuple[Replica, ...] = (), *, may_probe: bool = True
    ) -> Replica | None:
        """Pick a replica for one attempt; whoever begins it counts it in the record.

        Args:
            now: monotonic seconds.
            tried: replicas that this call has tried: another is preferred.
            may_probe: whether the call may serve as a probe: one that cannot be tried again
                should not be risked on a replica that was ill.

        Returns:
            A replica, or None when none is known.
        """
        if now >= self._look_at:
            if now >= self._fade_at:
                self._fade(now)
            probed = self._take_probe(now, tried, may_probe=may_probe)
            if probed is not None:
                return probed
        candidates = self.available
        if tried:
            candidates = (
                [replica for replica in candidates if replica not in tried]
                or [replica for replica in self.replicas.values() if replica not in tried]
                or candidates
            )
        return self._pick.pick(candidates) if candidates else None

    def succeeded(self, replica: Replica, now: float, number: int) -> None:
        """Take note of a good answer. Cost on the usual path: three look-ups.

        Args:
            replica: whose answer it is.
            now: monotonic seconds.
            number: the attempt's; likewise below.
        """
        if not (replica.failures or replica.refusals or replica.ejected_until):
            return
        if number <= replica.settled:
            return
        halved = replica.refusals / 2
        replica.refusals = halved if halved > _FORGOTTEN else 0
        self._restore(replica, now)

    def failed(
        self, replica: Replica, now: float, number: int, *, connecting: bool = False
    ) -> None:
        """Take note of a failed attempt; eject when it was one too many."""
        if number <= replica.settled or not self._ejector.failed(replica, connecting=connecting):
            return
        if self.replicas.get(replica.endpoint.address) is not replica:
            return
        if not replica.ejected_until and not self._may_eject(replica):
            self._on_health(replica, "kept")
            return
        self._eject(replica, now)

    def refused(self, replica: Replica, now: float, number: int) -> None:
        """Take note of a refusal for lack of room: busy is not broken, but there is no room there.

        Ejecting would make the others busier; counting it as load sends calls where they are taken.
        """
        if number <= replica.settled:
            return
        if self._fade_at == _NEVER:
            self._faded_at = now
            self._fade_at = now + _FADE_STEP_S
            self._look_at = min(self._probe_at, self._fade_at)
        replica.refusals += 1
        if replica.probing:
            self._restore(replica, now)  # a probe asks whether it is there, and it is

    def abandoned(self, replica: Replica, number: int) -> None:
        """Take note of an attempt that was given up before it told anything."""
        if replica.probing and number == replica.settled + 1:
            replica.probing = False
            self._rebuild()

    def drained(self, replica: Replica, now: float, number: int) -> None:
        """Take note that a replica said it is leaving."""
        if replica.draining or number <= replica.settled:
            return
        if replica.endpoint.pid:
            replica.draining = True
            self._rebuild()
        elif replica.ejected_until or self._may_eject(replica):
            # Nothing will tell of the process that comes after it: it must be tried now and then.
            self._eject(replica, now)

    def _restore(self, replica: Replica, now: float) -> None:
        if self._ejector.succeeded(replica, now):
            self._rebuild()
            self._on_health(replica, "restored")

    def _eject(self, replica: Replica, now: float) -> None:
        self._ejector.eject(replica, now)
        self._rebuild()
        self._on_health(replica, "ejected")

    def _may_eject(self, replica: Replica) -> bool:
        left = sum(other is not replica for other in self.available)
        return left >= max(1, int(len(self.replicas) * _KEPT_RATIO))

    def _take_probe(
        self, now: float, tried: tuple[Replica, ...], *, may_probe: bool
    ) -> Replica | None:
        since = now if may_probe else now - _RELUCTANT_S
        if since < self._probe_at:
            return None
        for replica in self.replicas.values():
            due = replica.ejected_until and replica.ejected_until <= since
            if due and not replica.probing and not replica.draining and replica not in tried:
                replica.probing = True
                replica.settled = replica.attempts
                self._rebuild()
                return replica
        return None

    def _fade(self, now: float) -> None:
        kept = exp((self._faded_at - now) / _REFUSAL_FADE_S)
        self._faded_at = now
        self._fade_at = _NEVER
        most = 1 + max((replica.in_flight for replica in self.replicas.values()), default=0)
        for replica in self.replicas.values():
            if replica.refusals:
                faded = min(replica.refusals, most) * kept
                replica.refusals = faded if faded > _FORGOTTEN else 0
                self._fade_at = now + _FADE_STEP_S
        self._look_at = min(self._probe_at, self._fade_at)

    def _rebuild(self) -> None:
        every = list(self.replicas.values())
        staying = [replica for replica in every if not replica.draining] or every
        self.available = [replica for replica in staying if not replica.ejected_until] or staying
        self._probe_at = min(
            (r.ejected_until for r in staying if r.ejected_until and not r.probing),
            default=_NEVER,
        )
        self._look_at = min(self._probe_at, self._fade_at)
