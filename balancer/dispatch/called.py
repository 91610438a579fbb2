"""One service as this process calls it: its fleet, its budget, its counters, the ways to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from ..policy import Ejector, Fleet, HedgeDelay, Replica, RetryBudget, Throttle
from ..telemetry import CallStats, SampledCall
from ..transport import Channel
from ..values import Endpoint, Request
from .means import Means
from .probe import LoadProbe

# How long a load probe that did not reach its replica says that nobody is there (seconds): until
# the next one has been asked, about once a second.
_MISSED_S = 3.0
# How long after its last replica left a service is waited for (seconds): a restart takes one or
# two, and after ten there is none to wait for. So long too for the registry's first word.
_GAP_S = 10.0


class CalledService:
    """See the module.

    Attributes:
        name: the service's.
        told: whether anything was ever told of its replicas, were it that there are none.
        fleet: its replicas.
        budget: what its retries and hedges are paid from.
        throttle: how much of what is asked it refuses.
        stats: what is counted of its calls.
    """

    __slots__ = (
        "_channels",
        "_clock",
        "_delays",
        "_left_at",
        "_look",
        "_means",
        "_missed",
        "_open_channel",
        "_probed",
        "budget",
        "fleet",
        "name",
        "stats",
        "throttle",
        "told",
    )

    def __init__(
        self,
        name: str,
        means: Means,
        open_channel: Callable[[str], Channel],
        look: Callable[[str], None],
    ) -> None:
        """Begin without replicas.

        Args:
            name: the service's.
            means: what its calls use.
            open_channel: makes the way to an address ("host:port").
            look: has whoever tells of replicas ask `is_gone` now, by the service's name.
        """
        self.name = name
        self.told = False
        self.stats = CallStats(name)
        ejector = Ejector(means.settings.ejection, means.random)
        self.fleet = Fleet(means.settings.balancing, ejector, means.random, self._count_health)
        self.budget = RetryBudget(means.settings.budget, means.clock.seconds())
        self.throttle = Throttle(means.settings.throttle, means.clock.seconds())
        self._clock = means.clock
        # As if they had left just now, until somebody says that there are none.
        self._left_at = means.clock.seconds()
        self._look = look
        self._missed: dict[Replica, float] = {}
        self._open_channel = open_channel
        self._channels: dict[Replica, Channel] = {}
        self._delays: dict[str, HedgeDelay] = {}
        self._means = means
        self._probed: set[Replica] = set()

    def update(self, endpoints: Sequence[Endpoint]) -> None:
        """Take discovery's word; ways to replicas that are gone are closed."""
        if not self.told:
            self.told = True
            self._left_at = -_GAP_S
        announced = [endpoint for endpoint in endpoints if not endpoint.standby]
        for replica in self.fleet.update(announced, self._clock.seconds()):
            self._left_at = self._clock.seconds()
            self._missed.pop(replica, None)
            channel = self._channels.pop(replica, None)
            if channel is not None:
                channel.close()

    def may_return(self, now: float) -> bool:
        """Whether replicas were here just now: all of them may be in the middle of a restart.

        Or whether the registry, asked just now, has not said yet who is here.

        Args:
            now: monotonic seconds.
        """
        return now - self._left_at < _GAP_S

    def is_gone(self, endpoint: Endpoint) -> bool:
        """Whether nobody is any more where discovery does not tell of a replica now.

        One of which calls tell nothing is asked for its load: then that tells it next time.
        """
        replica = self.fleet.replicas.get(endpoint.address)
        if replica is None:
            return False
        missed_at = self._missed.get(replica, -_MISSED_S)
        if self.fleet.is_gone(endpoint) or self._clock.seconds() - missed_at < _MISSED_S:
            return True
        self.probe(replica)
        return False

    def doubt(self) -> None:
        """Take note that a replica could not be reached: if others are in doubt, ask them now.

        Where many have left at once all of them are found out by the first call that meets one,
        before it has used up its tries.
        """
        self._look(self.name)

    def channel(self, replica: Replica) -> Channel:
        """The way to a replica, opened at its first use.

        Raises:
            ConfigError: its address is none.
        """
        channel = self._channels.get(replica)
        if channel is None:
            channel = self._channels[replica] = self._open_channel(replica.endpoint.address)
        return channel

    def hedge_delay(self, operation: str) -> HedgeDelay:
        """How long its answers to an operation take, and when to hedge it therefore."""
        delay = self._delays.get(operation)
        if delay is None:
            delay = self._delays[operation] = HedgeDelay()
        return delay

    def sample(
        self,
        call: Deferred[Any],
        request: Request,
        now: float,
        deadline: float,
        retryable: bool,
    ) -> SampledCall:
        """Begin to follow a call for the decision log.

        Args:
            call: fires when it ends; nothing may have been added to it.
            request: what it asks.
            now: monotonic seconds: when it begins.
            deadline: when its caller stops waiting, in monotonic seconds.
            retryable: whether doing it twice is harmless.
        """
        means = self._means
        sampled = means.decisions.sample(
            self.name,
            self.fleet,
            self.budget,
            means.settings.balancing,
            now=now,
            deadline=deadline,
            retryable=retryable,
            key=request.key,
        )
        call.addBoth(sampled.closed)
        return sampled

    def probe(self, replica: Replica) -> None:
        """Ask a replica for its load."""
        if replica not in self._probed:
            self._probed.add(replica)
            LoadProbe(self, self._means, replica).begin()

    def probed(self, replica: Replica, *, reached: bool = True) -> None:
        """Take note that a load probe has ended.

        Args:
            replica: who was asked.
            reached: whether it, or anybody of its service, is there.
        """
        self._probed.discard(replica)
        if reached:
            self._missed.pop(replica, None)
        else:
            self._missed[replica] = self._clock.seconds()
            self._look(self.name)

    def close(self) -> None:
        """Close all ways."""
        for channel in self._channels.values():
            channel.close()

    def _count_health(self, replica: Replica, change: str, why: str) -> None:
        self.stats.health[change, why] += 1
        self._means.decisions.health(self.name, replica, change, why)
