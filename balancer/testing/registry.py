"""A registry that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, fail, succeed

from ..clock import Clock
from ..discovery import IsGone, Lease, Listener, Lock
from ..errors import RegistryError
from ..values import Endpoint


class FakeRegistry:
    """A `balancer.discovery.Registry` in memory: set the endpoints, and listeners are told.

    It serves as a `balancer.discovery.Watched` as well, for a caller who believes its every word.
    """

    url = "memory:"

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin empty.

        Args:
            clock: tells how long it has been lost; None for where nobody asks.
        """
        self._clock = clock
        self._lost = False
        self._has_told = False
        self._lost_at = 0.0
        self._endpoints: dict[str, list[Endpoint]] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._locks: dict[str, _FakeLock] = {}
        self._notes: dict[str, str] = {}

    def set(self, service: str, endpoints: Iterable[Endpoint]) -> None:
        """Say who exists, and tell whoever watches.

        Args:
            service: the service's name.
            endpoints: all of its endpoints from now on.
        """
        self._endpoints[service] = list(endpoints)
        if not self._lost:
            self._tell(service)

    def lose(self) -> None:
        """From now on it says nothing, and cannot be asked."""
        self._lost = True
        self._lost_at = self._clock.seconds() if self._clock is not None else 0.0

    def find(self) -> None:
        """It is back, and tells how things are now."""
        self._lost = False
        for service in list(self._listeners):
            self._tell(service)

    def watch(
        self, service: str, listener: Listener, is_gone: IsGone | None = None
    ) -> Callable[[], None]:
        """Follow a service; see `balancer.discovery.Registry`.

        Args:
            service: its name.
            listener: called with all of its endpoints.
            is_gone: never asked.
        """
        listeners = self._listeners.setdefault(service, [])
        listeners.append(listener)
        if not self._lost:
            self._has_told = True
            listener(list(self._endpoints.get(service, ())))

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return end

    def look(self, service: str) -> None:
        """Nothing is ever held; see `balancer.discovery.Watched`."""

    def known(self) -> list[Endpoint]:
        """All endpoints of all services, without waiting."""
        return [endpoint for found in self._endpoints.values() for endpoint in found]

    def endpoints(self) -> Deferred[list[Endpoint]]:
        """All endpoints of all services."""
        if self._lost:
            return fail(RegistryError("the registry in memory is lost; a test wanted it so"))
        return succeed(self.known())

    def announce(self, endpoint: Endpoint) -> Lease:
        """Enter a replica until it withdraws."""
        self.set(endpoint.service, [*self._endpoints.get(endpoint.service, ()), endpoint])
        return _FakeLease(self, endpoint)

    def withdraw(self, endpoint: Endpoint) -> None:
        """Take a replica out; harmless when it is not in."""
        known = self._endpoints.get(endpoint.service, [])
        if endpoint in known:
            self.set(endpoint.service, [other for other in known if other != endpoint])

    def change(self, old: Endpoint, new: Endpoint) -> None:
        """Tell something else of a replica that is in."""
        known = self._endpoints.get(old.service, [])
        self.set(old.service, [new if other == old else other for other in known])

    def lock(self, name: str, holder: str) -> Deferred[Lock | None]:
        """Take a lock, if nobody has it."""
        if name in self._locks:
            return succeed(None)
        lock = self._locks[name] = _FakeLock(self, name, holder, self._notes.get(name, ""))
        return succeed(lock)

    def holder(self, name: str) -> Deferred[str]:
        """Who has a lock now; "" for nobody."""
        lock = self._locks.get(name)
        return succeed("" if lock is None else lock.holder)

    def unlock(self, name: str, note: str | None = None, *, lost: bool = False) -> None:
        """Give a lock back, or take it from its holder; harmless when nobody has it.

        Args:
            name: the lock's.
            note: left for the next holder; None leaves what was there.
            lost: whether it is taken: the holder is told.
        """
        lock = self._locks.pop(name, None)
        if lock is None:
            return
        if note is not None:
            self._notes[name] = note
        if lost:
            lock.lost.callback(None)

    def age_s(self) -> float | None:
        """Not old before it is lost; None when it was lost before it had told anything."""
        if not self._lost:
            return 0.0
        if not self._has_told or self._clock is None:
            return None
        return self._clock.seconds() - self._lost_at

    def close(self) -> None:
        """Tell nobody any more.

        Leases and locks are not given up, and can be had after it too: one object stands for the
        registry of all processes of a test, and only one of them has closed it.
        """
        self._listeners.clear()

    def _tell(self, service: str) -> None:
        self._has_told = True
        for listener in list(self._listeners.get(service, ())):
            listener(list(self._endpoints.get(service, ())))


class _FakeLease:
    def __init__(self, registry: FakeRegistry, endpoint: Endpoint) -> None:
        self._registry = registry
        self._endpoint = endpoint

    def change(self, endpoint: Endpoint) -> None:
        self._registry.change(self._endpoint, endpoint)
        self._endpoint = endpoint

    def withdraw(self) -> None:
        self._registry.withdraw(self._endpoint)


class _FakeLock:
    def __init__(self, registry: FakeRegistry, name: str, holder: str, note: str) -> None:
        self.note = note
        self.holder = holder
        self.lost: Deferred[None] = Deferred()
        self._registry = registry
        self._name = name
        self._held = True

    def release(self, note: str | None = None) -> Deferred[None]:
        if self._held and not self.lost.called:
            self._held = False
            self._registry.unlock(self._name, note)
        return succeed(None)
