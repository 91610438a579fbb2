"""A registry that is written down: addresses from the configuration, always the same."""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed

from ..errors import ConfigError, RegistryError
from ..values import Endpoint, split_address
from .closed import was_closed
from .interface import Lease, Listener, Lock

_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*").fullmatch


def parse_static(text: str) -> list[Endpoint]:
    """Read ``users=127.0.0.1:8001|127.0.0.1:8002,products=...``.

    Args:
        text: services separated by commas, the addresses of each by "|".

    Raises:
        ConfigError: it reads otherwise, or names something twice.
    """
    endpoints: list[Endpoint] = []
    seen: set[str] = set()
    for part in filter(None, text.split(",")):
        service, separator, addresses = part.strip().partition("=")
        if not separator or not _SERVICE(service) or not addresses:
            raise ConfigError(
                f"static registry: {part!r} is not service=host:port|host:port, "
                "such as static:users=127.0.0.1:8001|127.0.0.1:8002"
            )
        found = [address.strip() for address in addresses.split("|")]
        for number, address in enumerate(found, 1):
            try:
                split_address(address)
            except ConfigError as error:
                raise ConfigError(f"static registry: {error}") from None
            endpoints.append(
                Endpoint(service=service, replica=f"{service}-{number}", address=address)
            )
        for name in (service, *found):
            if name in seen:
                raise ConfigError(f"static registry: {name!r} is given twice")
            seen.add(name)
    if not endpoints:
        raise ConfigError("static registry: no address is given; write static:users=host:port")
    return endpoints


class StaticRegistry:
    """See the module."""

    def __init__(self, endpoints: list[Endpoint]) -> None:
        """Take the endpoints of all services."""
        services = dict.fromkeys(endpoint.service for endpoint in endpoints)
        self.url = f"static:{','.join(services)}"
        self._endpoints = endpoints
        self._closed = False

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Tell the listener once: nothing changes here."""
        listener([endpoint for endpoint in self._endpoints if endpoint.service == service])
        return lambda: None

    def endpoints(self) -> Deferred[list[Endpoint]]:
        """All that was written down."""
        return succeed(list(self._endpoints))

    def announce(self, endpoint: Endpoint) -> Lease:
        """Check that a replica listens where callers will look for it.

        Raises:
            RegistryError: its address is not written down, so nobody would call it; or this was
                closed.
        """
        if self._closed:
            raise was_closed(self.url)
        known = [e.address for e in self._endpoints if e.service == endpoint.service]
        if endpoint.address not in known:
            raise RegistryError(
                f"{endpoint.replica} listens on {endpoint.address}, and the static registry knows "
                f"{endpoint.service} only at {', '.join(known) or 'no address'}; "
                "listen there with --listen, or use a registry that replicas enter themselves"
            )
        return _NoLease()

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

    def age_s(self) -> float:
        """Never old."""
        return 0.0

    def close(self) -> None:
        """Take no replica any more; nothing else is to be ended."""
        self._closed = True

    def _without_locks(self, name: str) -> RegistryError:
        if self._closed:
            return was_closed(self.url)
        return RegistryError(
            f"the static registry keeps no locks, and {name} needs one; "
            "use a registry such as file:.mesh/leases or redis://HOST:PORT"
        )


class _NoLease:
    def change(self, endpoint: Endpoint) -> None:
        pass

    def withdraw(self) -> None:
        pass
