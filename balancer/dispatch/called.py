"""One service as this process calls it: its fleet, its budget, its counters, the ways to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..policy import Ejector, Fleet, Replica, RetryBudget, TwoChoices
from ..telemetry import CallStats
from ..transport import Channel
from ..values import Endpoint
from .means import Means

# How long after its last replica left a service is waited for (seconds): a restart takes one or
# two, and after ten there is none to wait for.
_GAP_S = 10.0


class CalledService:
    """See the module.

    Attributes:
        name: the service's.
        fleet: its replicas.
        budget: what its retries are paid from.
        stats: what is counted of its calls.
    """

    __slots__ = (
        "_channels",
        "_clock",
        "_left_at",
        "_open_channel",
        "budget",
        "fleet",
        "name",
        "stats",
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
        self.fleet = Fleet(TwoChoices(means.random), ejector, self._count_health)
        self.budget = RetryBudget(means.settings.budget, means.clock.seconds())
        self._clock = means.clock
        self._left_at = -_GAP_S
        self._open_channel = open_channel
        self._channels: dict[Replica, Channel] = {}

    def update(self, endpoints: Sequence[Endpoint]) -> None:
        """Take discovery's word; ways to replicas that are gone are closed."""
        for replica in self.fleet.update(endpoints):
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

    def close(self) -> None:
        """Close all ways."""
        for channel in self._channels.values():
            channel.close()

    def _count_health(self, _replica: Replica, change: str) -> None:
        self.stats.health[change] += 1
