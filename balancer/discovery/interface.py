"""What the balancer asks of a registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..values import Endpoint

Listener = Callable[[Sequence[Endpoint]], None]


class Lease(Protocol):
    """A replica's own entry in a registry, for as long as it is held."""

    def withdraw(self) -> None:
        """Leave the registry; harmless the second time."""


class Registry(Protocol):
    """Where replicas announce themselves and callers find them.

    Attributes:
        url: where it is, for people; with the whole path of a folder.
    """

    url: str

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Follow a service.

        Args:
            service: its name.
            listener: called at once with the endpoints that are known, then at each change with
                all of them.

        Returns:
            A function that ends it.
        """

    def endpoints(self) -> list[Endpoint]:
        """All endpoints of all services, as the registry says now."""

    def announce(self, endpoint: Endpoint) -> Lease:
        """Enter a replica.

        Raises:
            RegistryError: it cannot be entered; the message says what to do.
        """

    def age_s(self) -> float:
        """How old the view is, in seconds."""

    def close(self) -> None:
        """End all watching."""
