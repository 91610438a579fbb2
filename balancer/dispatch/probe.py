"""A load probe: a request that asks a replica for nothing but its load.

``OPTIONS *`` is HTTP's own question to a server about itself (RFC 9110, 9.3.7). A replica answers
it at once, whatever it has to do, and ``Mesh-Load`` comes with it as with every answer. A probe is
no call: no budget, no retry. Of the replica's health it says one thing: that it lives, whatever it
answers (`balancer.policy.silence`). That nobody is there is believed only where the registry says
so too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import CallError, ConfigError
from ..policy import Replica, Verdict, classify
from ..values import Reply
from ..wire import parse_load, probe_bytes
from .means import Means

if TYPE_CHECKING:
    from ..transport import Channel
    from .called import CalledService

# A report that takes longer than this (seconds) is no news any more.
_PATIENCE_S = 1.0


class LoadProbe:
    """One probe on its way; see the module."""

    __slots__ = ("_channel", "_means", "_replica", "_service", "carrier", "due")

    def __init__(self, service: CalledService, means: Means, replica: Replica) -> None:
        """Begin nothing yet.

        Args:
            service: whose fleet is told.
            means: the sweep and the clock.
            replica: whom to ask.
        """
        self._service = service
        self._means = means
        self._replica = replica
        self._channel: Channel | None = None
        self.carrier: Any = None
        self.due = 0

    def begin(self) -> None:
        """Send it; what comes of it goes to the fleet."""
        try:
            self._channel = self._service.channel(self._replica)
        except ConfigError:
            self._service.probed(self._replica)
            return
        self._service.stats.probes += 1
        self._means.sweep.add(self, self._means.clock.seconds() + _PATIENCE_S)
        self._channel.start(self)

    def payload(self) -> bytes:
        """See `Attempt`."""
        return probe_bytes(self._service.name, self._means.caller)

    def replied(self, reply: Reply) -> None:
        """See `Attempt`."""
        nacked = reply.header(b"mesh-nack") is not None
        if classify(reply.status, nacked=nacked) is Verdict.MISDIRECTED:
            self._end(reached=False)
            return
        self._end()
        self._service.fleet.spoke(self._replica)
        value = reply.header(b"mesh-load")
        load = parse_load(value) if value is not None else None
        if load is not None and not load.draining:
            self._service.fleet.heard(self._replica, self._means.clock.seconds(), load)

    def failed(self, error: CallError) -> None:
        """See `Attempt`."""
        self._end(reached=error.sent)

    def expired(self, now: float) -> None:
        """Its time is over."""
        assert self._channel is not None
        # Without a connection, and without calls that may have all that there can be.
        reached = self.carrier is not None or self._replica.in_flight > 0
        self._channel.abandon(self)
        self._end(reached=reached)

    def _end(self, *, reached: bool = True) -> None:
        self._means.sweep.remove(self)
        self._service.probed(self._replica, reached=reached)
