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

# How long after its last replica left a service is waited for (seconds): a restart takes one or
# two, and after ten there is none to wait for.
_GAP_S = 10.0


class CalledService:
    """See the module.

    Attributes:
        name: the service's.
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
        "_means",
        "_open_channel",
        "_probed",
        "budget",
        "fleet",
        "name",
        "stats",
        "throttle",
    )

    def __init__(self, name: str, means: Means, open_channel: Callable[[str], Channel]) -> None:
        """Begin without replicas.

        Args:
            name: the service's.
            means: what its calls use.
            open_channel: makes the way to an address ("host:port").
        """
        self.name = name
        self.stats = CallStats(name)
        ejector = Ejector(means.settings.ejection, means.random)
        self.fleet = Fleet(means.settings.balancing, ejector, means.random, self._count_health)
        self.budget = RetryBudget(means.settings.budget, means.clock.seconds())
        self.throttle = Throttle(means.settings.throttle, means.clock.seconds())
        self._clock = means.clock
        self._left_at = -_GAP_S
        self._open_channel = open_channel
        self._channels: dict[Replica, Channel] = {}
        self._delays: dict[str, HedgeDelay] = {}
        self._means = means
        self._probed: set[Replica] = set()

    def update(self, endpoints: Sequence[Endpoint]) -> None:
        """Take discovery's word; ways to replicas that are gone are closed."""
        announced = [endpoint for endpoint in endpoints if not endpoint.standby]
        for replica in self.fleet.update(announced, self._clock.seconds()):
            self._left_at = self._clock.seconds()
            channel = self._channels.pop(replica, None)
            if channel is not None:
                channel.close()

    def may_return(self, now: float) -> bool:
        """Whether replicas were here just now: all of them may be in the middle of a restart.

        Args:
            now: monotonic seconds.
        """
        return now - self._left_at < _GAP_S

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

    def probed(self, replica: Replica) -> None:
        """Take note that a load probe has ended."""
        self._probed.discard(replica)

    def close(self) -> None:
        """Close all ways."""
        for channel in self._channels.values():
            channel.close()

    def _count_health(self, replica: Replica, change: str, why: str) -> None:
        self.stats.health[change, why] += 1
        self._means.decisions.health(self.name, replica, change, why)
