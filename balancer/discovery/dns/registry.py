"""A registry that others keep: SRV records in the DNS."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, FirstError, fail, gatherResults
from twisted.python.failure import Failure

from ...clock import Clock
from ...errors import RegistryError
from ...values import Endpoint
from ..closed import was_closed
from ..interface import Lease, Listener, Lock
from ..listeners import Listeners
from .followed import FollowedName
from .lease import UnkeptLease
from .zone import Zone


class DnsRegistry:
    """See the module.

    The DNS cannot say which services there are: `endpoints` answers for those that are watched.
    """

    def __init__(self, zone: Zone, *, reactor: Any, clock: Clock, rng: random.Random) -> None:
        """Take a zone; nothing is asked before somebody watches.

        Args:
            zone: where the records are.
            reactor: where the sockets live.
            clock: monotonic.
            rng: for the jitter.
        """
        self.url = zone.url
        self._zone = zone
        self._reactor = reactor
        self._clock = clock
        self._rng = rng
        self._listeners = Listeners()
        self._followed: dict[str, FollowedName] = {}
        self._leases: list[UnkeptLease] = []
        self._closed = False

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Follow a service; it is told as soon as the DNS has answered."""
        name = self._zone.name(service)
        if name is None:
            listener([])
            return lambda: None
        end = self._listeners.add(service, listener, lambda: self._followed.pop(service).end())
        if service not in self._followed:
            followed = self._followed[service] = self._follow(service, name)
            followed.ask().addErrback(_logged)
        return end

    def endpoints(self) -> Deferred[list[Endpoint]]:
        """Ask anew for all services that are watched.

        Returns:
            Fires with their endpoints; fails with `RegistryError` when one has no answer, or when
            none is watched.
        """
        if not self._followed:
            return fail(
                RegistryError(f"{self.url} cannot say which services there are: watch some first")
            )
        asked = [followed.ask() for followed in self._followed.values()]
        return gatherResults(asked, consumeErrors=True).addCallbacks(_joined, _first)

    def announce(self, endpoint: Endpoint) -> Lease:
        """Look once, after a while, whether the DNS knows the replica: others enter it.

        Raises:
            RegistryError: this was closed.
        """
        if self._closed:
            raise was_closed(self.url)
        lease = UnkeptLease(endpoint, self._clock, self._ask_once)
        self._leases.append(lease)
        return lease

    def lock(self, name: str, holder: str) -> Deferred[Lock | None]:
        """Nobody keeps locks here.

        Returns:
            Fails with `RegistryError`.
        """
        return fail(self._without_locks(name))

    def holder(self, name: str) -> Deferred[str]:
        """Nobody keeps locks here.

        Returns:
            Fails with `RegistryError`.
        """
        return fail(self._without_locks(name))

    def age_s(self) -> float | None:
        """Seconds since the last answer, of the watched service that has waited longest for one."""
        answered = [
            followed.answered_at
            for followed in self._followed.values()
            if followed.answered_at is not None
        ]
        return self._clock.seconds() - min(answered) if answered else None

    def close(self) -> None:
        """Ask no more."""
        self._closed = True
        self._listeners.clear()
        followed, self._followed = self._followed, {}
        for each in followed.values():
            each.end()
        for lease in self._leases:
            lease.withdraw()

    def _without_locks(self, name: str) -> RegistryError:
        if self._closed:
            return was_closed(self.url)
        return RegistryError(
            f"the DNS keeps no locks, and {name} needs one; "
            "use a registry such as file:.mesh/leases or redis://HOST:PORT"
        )

    def _follow(self, service: str, name: str) -> FollowedName:
        return FollowedName(
            service,
            name,
            self._zone.resolver,
            self._listeners.tell,
            reactor=self._reactor,
            clock=self._clock,
            rng=self._rng,
        )

    def _ask_once(self, service: str) -> Deferred[list[Endpoint]]:
        name = self._zone.name(service)
        if name is None:
            return fail(RegistryError(f"{self.url} can have no service {service!r}"))
        followed = self._follow(service, name)
        return followed.ask().addBoth(_ended, followed)


def _joined(found: list[list[Endpoint]]) -> list[Endpoint]:
    return [endpoint for endpoints in found for endpoint in endpoints]


def _first(failure: Failure) -> Failure:
    return failure.value.subFailure if isinstance(failure.value, FirstError) else failure


def _ended(result: list[Endpoint] | Failure, followed: FollowedName) -> list[Endpoint] | Failure:
    followed.end()
    return result


def _logged(_failure: Failure) -> None:
    """The followed name has said it in the log, and goes on asking."""
