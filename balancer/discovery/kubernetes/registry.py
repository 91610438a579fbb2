"""A registry that the cluster keeps: the EndpointSlices of the mesh's Services.

Nobody announces anything: a pod that answers ready is told as callable, one that does not yet is on
standby, and one that was told to leave is gone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...clock import Clock
from ...values import Endpoint
from ..closed import was_closed
from ..interface import Lease, Listener, Lock
from ..listeners import Listeners
from ..names import check_lock_name
from .api import KubernetesApi
from .lock import KubernetesLock, ask_holder, take_lock
from .objects import EndpointSlice
from .place import Place
from .slices import SliceView
from .watch import SliceWatch

_log = Logger()


class KubernetesRegistry:
    """See the module."""

    def __init__(
        self, place: Place, *, reactor: Any, clock: Clock, rng: random.Random, ttl_s: float
    ) -> None:
        """Take a cluster; nothing is connected before the first use.

        Args:
            place: where, with its server.
            reactor: where the sockets live.
            clock: monotonic.
            rng: for the jitter.
            ttl_s: how long a lock stays taken when its holder is silent, in seconds.
        """
        self.url = place.url
        self._place = place
        self._clock = clock
        self._ttl_s = ttl_s
        self._api = KubernetesApi(place, reactor, clock)
        self._rng = rng
        self._listeners = Listeners()
        self._view = SliceView(place.port, place.admin)
        self._watch = self._new_watch()
        self._is_watching = False
        self._is_listed = False
        self._portless: set[str] = set()
        self._locks: dict[KubernetesLock, None] = {}
        self._closed = False

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Follow a service; all services are followed by one watch, for as long as any is."""
        end = self._listeners.add(service, listener, self._rest)
        if self._is_listed:
            # Not within this call: a registry that answers within it need not be asked, and nothing
            # is remembered of it for when it is lost.
            self._clock.callLater(0, self._tell, {service})
        elif not self._is_watching:
            self._is_watching = True
            self._watch.start()
        return end

    def endpoints(self) -> Deferred[list[Endpoint]]:
        """Ask for all endpoints of all services as they are now."""
        return Deferred.fromCoroutine(self._endpoints())

    def announce(self, endpoint: Endpoint) -> Lease:
        """Leave it to the cluster, which tells of a pod by its readiness.

        Raises:
            RegistryError: this was closed.
        """
        if self._closed:
            raise was_closed(self.url)
        return _NoLease()

    def lock(self, name: str, holder: str) -> Deferred[Lock | None]:
        """Take a lock: a Lease of the cluster; `lease_name` says which."""
        return Deferred.fromCoroutine(self._lock(name, holder))

    def holder(self, name: str) -> Deferred[str]:
        """Ask who has a lock now."""
        return Deferred.fromCoroutine(self._holder(name))

    def age_s(self) -> float | None:
        """Seconds since the API server last told or confirmed what there is."""
        at = self._watch.confirmed_at
        return None if at is None else self._clock.seconds() - at

    def close(self) -> None:
        """End the watch, and give back the locks."""
        self._listeners.clear()
        self._rest()
        self._closed = True
        for lock in list(self._locks):
            lock.release().addErrback(_left_to_end)

    async def _endpoints(self) -> list[Endpoint]:
        found = await self._watch.list()
        view = SliceView(self._place.port, self._place.admin)
        view.replace(found.items or ())
        return [each for service in sorted(view.services()) for each in view.endpoints(service)]

    async def _lock(self, name: str, holder: str) -> Lock | None:
        self._check_lock(name)
        lock = await take_lock(
            self._api,
            self._place.namespace,
            name,
            holder,
            self._ttl_s,
            self._clock,
            lambda lock: self._locks.pop(lock, None),
        )
        if lock is None:
            return None
        if self._closed:
            lock.release().addErrback(_left_to_end)
            raise was_closed(self.url)
        self._locks[lock] = None
        return lock

    async def _holder(self, name: str) -> str:
        self._check_lock(name)
        return await ask_holder(self._api, self._place.namespace, name)

    def _check_lock(self, name: str) -> None:
        check_lock_name(name)
        if self._closed:
            raise was_closed(self.url)

    def _new_watch(self) -> SliceWatch:
        return SliceWatch(
            self._api,
            self._place,
            self._clock,
            self._rng,
            listed=self._listed,
            changed=self._changed,
        )

    def _rest(self) -> None:
        if self._is_watching and not self._listeners.services():
            self._is_watching = self._is_listed = False
            self._watch.stop()
            self._watch = self._new_watch()

    def _listed(self, slices: tuple[EndpointSlice, ...]) -> None:
        changed = self._view.replace(slices)
        for each in slices:
            self._check(each)
        services = changed if self._is_listed else set(self._listeners.services())
        self._is_listed = True
        self._tell(services)

    def _changed(self, found: EndpointSlice, is_there: bool) -> None:
        if is_there:
            self._check(found)
        self._tell(self._view.put(found) if is_there else self._view.remove(found))

    def _tell(self, services: set[str]) -> None:
        for service in services:
            self._listeners.tell(service, self._view.endpoints(service))

    def _check(self, found: EndpointSlice) -> None:
        name = found.metadata.name
        if not self._view.portless(found):
            self._portless.discard(name)
        elif name not in self._portless:
            self._portless.add(name)
            _log.warn(
                "the EndpointSlice {name} has no port named {port}, so its endpoints are not "
                "called; name it in the Service, or give another with ?port=",
                name=name,
                port=self._place.port,
            )


class _NoLease:
    def change(self, endpoint: Endpoint) -> None:
        pass

    def withdraw(self) -> None:
        pass


def _left_to_end(_failure: Failure) -> None:
    """The Lease ends by itself."""
