"""Who follows which service, and what they were told last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.logger import Logger

from ..values import Endpoint
from .interface import Listener

_log = Logger()


class Listeners:
    """See the module."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._listeners: dict[str, list[Listener]] = {}
        self._told: dict[str, list[Endpoint]] = {}

    def services(self) -> list[str]:
        """The services that somebody follows."""
        return list(self._listeners)

    def add(
        self, service: str, listener: Listener, unfollowed: Callable[[], None]
    ) -> Callable[[], None]:
        """Let somebody follow a service; what others were told of it already is told at once.

        Args:
            service: its name.
            listener: called with all endpoints of the service, at each change.
            unfollowed: called when nobody follows the service any more.

        Returns:
            A function that ends it; harmless the second time.
        """
        listeners = self._listeners.setdefault(service, [])
        listeners.append(listener)
        if service in self._told:
            listener(self._told[service])

        def end() -> None:
            if listener not in listeners:
                return
            listeners.remove(listener)
            if not listeners and self._listeners.pop(service, None) is not None:
                self._told.pop(service, None)
                unfollowed()

        return end

    def tell(self, service: str, endpoints: Iterable[Endpoint]) -> None:
        """Tell those who follow a service of its endpoints, if they were told otherwise so far."""
        found = list(endpoints)
        if service not in self._listeners or self._told.get(service) == found:
            return
        self._told[service] = found
        for listener in list(self._listeners[service]):
            _tell(listener, service, found)

    def clear(self) -> None:
        """Tell nobody any more."""
        self._listeners.clear()
        self._told.clear()


def _tell(listener: Listener, service: str, endpoints: Sequence[Endpoint]) -> None:
    try:
        listener(endpoints)
    except Exception:  # noqa: BLE001 - one listener must not cost the others
        _log.failure("a listener to the replicas of {service} failed", service=service)
