"""Which replicas may be picked now: the membership and health of one service's fleet.

Discovery says who exists; ejection says who is well; this joins the two, so that a pick looks at
one ready list. Two rules keep health from doing harm. *Never all*: an ejection that would leave
less than a third of the fleet (and so, in a small one, nobody) is refused; when most seem ill, the
fault is more likely ours or the network's, and half-ill replicas serve more calls than none. *One
probe*: a replica on probation gets a single call until that call has told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..values import Endpoint
from .ejection import Ejector
from .pick import TwoChoices
from .replica import Replica

# The share of the fleet that ejection always leaves.
_KEPT_RATIO = 1 / 3
_NEVER = float("inf")


class Fleet:
    """The replicas of one service.

    Attributes:
        replicas: all known, by their address.
        available: those that may be picked: never empty while any is known.
    """

    __slots__ = ("_ejector", "_on_health", "_pick", "_probe_at", "available", "replicas")

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
        self._probe_at = _NEVER
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
            if endpoint is None or endpoint.pid != replica.endpoint.pid:
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
        """Pick a replica for one attempt.

        Args:
            now: monotonic seconds.
            tried: replicas that this call has tried: another is preferred.
            may_probe: whether the call may serve as a probe: one that cannot be tried again
                should not be risked on a replica that was ill.

        Returns:
            A replica, or None when none is known.
        """
        if now >= self._probe_at and may_probe:
            probed = self._take_probe(now, tried)
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

    def succeeded(self, replica: Replica, now: float) -> None:
        """Take note of a good answer. Cost on the usual path: two comparisons."""
        if not (replica.failures or replica.ejected_until):
            return
        if replica.ejected_until and not replica.probing and replica not in self.available:
            return  # an answer from before the ejection says nothing of how it is now
        if self._ejector.succeeded(replica, now):
            self._rebuild()
            self._on_health(replica, "restored")

    def failed(self, replica: Replica, now: float, *, connecting: bool = False) -> None:
        """Take note of a failed attempt; eject when it was one too many."""
        if not self._ejector.failed(replica, connecting=connecting):
            return
        if self.replicas.get(replica.endpoint.address) is not replica:
            return
        if not replica.ejected_until and not self._may_eject(replica):
            self._on_health(replica, "kept")
            return
        self._ejector.eject(replica, now)
        self._rebuild()
        self._on_health(replica, "ejected")

    def abandoned(self, replica: Replica) -> None:
        """Take note of an attempt that was given up before it told anything."""
        if replica.probing:
            replica.probing = False
            self._rebuild()

    def drained(self, replica: Replica) -> None:
        """Take note that a replica said it is leaving."""
        if not replica.draining:
            replica.draining = True
            self._rebuild()

    def _may_eject(self, replica: Replica) -> bool:
        left = sum(other is not replica for other in self.available)
        return left >= max(1, int(len(self.replicas) * _KEPT_RATIO))

    def _take_probe(self, now: float, tried: tuple[Replica, ...]) -> Replica | None:
        for replica in self.replicas.values():
            due = replica.ejected_until and replica.ejected_until <= now
            if due and not replica.probing and not replica.draining and replica not in tried:
                replica.probing = True
                self._rebuild()
                return replica
        return None

    def _rebuild(self) -> None:
        every = list(self.replicas.values())
        staying = [replica for replica in every if not replica.draining] or every
        self.available = [replica for replica in staying if not replica.ejected_until] or staying
        self._probe_at = min(
            (r.ejected_until for r in staying if r.ejected_until and not r.probing),
            default=_NEVER,
        )
