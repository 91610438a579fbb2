"""What a replica has of a registry that others keep: nothing, and one look whether it is in."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...clock import Clock
from ...values import Endpoint

# After which the look is taken (seconds): whoever keeps the zone had time until then.
LOOK_S = 60.0

_log = Logger()


class UnkeptLease:
    """See the module."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        ask: Callable[[str], Deferred[list[Endpoint]]],
    ) -> None:
        """Begin to wait.

        Args:
            endpoint: the replica's own.
            clock: when to look.
            ask: asks once for the endpoints of a service.
        """
        self._endpoint = endpoint
        self._ask = ask
        self._asking: Deferred[None] | None = None
        self._looking = clock.callLater(LOOK_S, self._look)

    def change(self, endpoint: Endpoint) -> None:
        """Nothing can be told here; it is for whoever keeps the zone to tell it."""
        self._endpoint = endpoint

    def withdraw(self) -> None:
        """Look no more."""
        if self._looking.active():
            self._looking.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _look(self) -> None:
        asking = self._ask(self._endpoint.service)
        # Without an answer nothing is known, and callers say in their logs that there is none.
        self._asking = asking.addCallbacks(self._compare, _ignore)

    def _compare(self, found: list[Endpoint]) -> None:
        own = self._endpoint.address
        # It may be advertised by its host's name, which is the first part of the replica's there.
        if any(own in (each.address, each.replica.partition("@")[0]) for each in found):
            return
        _log.warn(
            "the DNS does not name {address} among the replicas of {service}, so nobody calls "
            "{replica}; whoever keeps the zone must enter it",
            address=own,
            service=self._endpoint.service,
            replica=self._endpoint.replica,
        )


def _ignore(_failure: Failure) -> None:
    pass
