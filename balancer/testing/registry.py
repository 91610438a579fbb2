"""A registry that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..discovery import Lease, Listener
from ..values import Endpoint


class FakeRegistry:
    """A `balancer.discovery.Registry` in memory: set the endpoints, and listeners are told."""

    url = "memory:"

    def __init__(self) -> None:
        """Begin empty."""
        self._endpoints: dict[str, list[Endpoint]] = {}
        self._listeners: dict[str, list[Listener]] = {}

    def set(self, service: str, endpoints: Iterable[Endpoint]) -> None:
        """Say who exists, and tell whoever watches.

        Args:
            service: the service's name.
            endpoints: all of its endpoints from now on.
        """
        self._endpoints[service] = list(endpoints)
        for listener in list(self._listeners.get(service, ())):
            listener(list(self._endpoints[service]))

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Follow a service; see `balancer.discovery.Registry`."""
        listeners = self._listeners.setdefault(service, [])
        listeners.append(listener)
        listener(list(self._endpoints.get(service, ())))

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return end

    def endpoints(self) -> list[Endpoint]:
        """All endpoints of all services."""
        return [endpoint for found in self._endpoints.values() for endpoint in found]

    def announce(self, endpoint: Endpoint) -> Lease:
        """Enter a replica until it withdraws."""
        self.set(endpoint.service, [*self._endpoints.get(endpoint.service, ()), endpoint])
        return _FakeLease(self, endpoint)

    def withdraw(self, endpoint: Endpoint) -> None:
        """Take a replica out; harmless when it is not in."""
        known = self._endpoints.get(endpoint.service, [])
        if endpoint in known:
            self.set(endpoint.service, [other for other in known if other != endpoint])

    def age_s(self) -> float:
        """Never old."""
        return 0.0

    def close(self) -> None:
        """Tell nobody any more."""
        self._listeners.clear()


class _FakeLease:
    def __init__(self, registry: FakeRegistry, endpoint: Endpoint) -> None:
        self._registry = registry
        self._endpoint = endpoint

    def withdraw(self) -> None:
        self._registry.withdraw(self._endpoint)
