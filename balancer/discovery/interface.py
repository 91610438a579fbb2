"""What the balancer asks of a registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from ..values import Endpoint

Listener = Callable[[Sequence[Endpoint]], None]


class Lease(Protocol):
    """A replica's own entry in a registry, for as long as it is held.

    A registry that is lost meanwhile takes the entry when it is back, by itself.
    """

    def change(self, endpoint: Endpoint) -> None:
        """Tell something else of the same replica from now on, without a gap.

        What cannot be told now is told as soon as it can be.

        Args:
            endpoint: of the same service and name.
        """

    def withdraw(self) -> None:
        """Leave the registry; harmless the second time."""


class Lock(Protocol):
    """The right to do what only one process may do at a time, for as long as it is held.

    It goes back by itself when the holder dies: at once where the kernel keeps it, after its time
    to live elsewhere.

    Attributes:
        note: what the last holder left for the next one; "" when there was none.
        lost: fires when it can no longer be vouched for, in time for the holder to stop before
            another can have it. It never fires after `release`.
    """

    note: str
    lost: Deferred[None]

    def release(self, note: str | None = None) -> Deferred[None]:
        """Give it back; harmless the second time.

        Args:
            note: what to leave for the next holder, at most 4,096 characters; None leaves what was
                there.

        Returns:
            Fires when the registry has it; fails with `RegistryError` when it cannot be reached.
        """


class Registry(Protocol):
    """Where replicas announce themselves and callers find them.

    Nothing is connected before the first use, and a registry that cannot be reached is no error of
    `watch` and `announce`: both go on trying.

    Attributes:
        url: where it is, for people; with the whole path of a folder, without a password.
    """

    url: str

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Follow a service.

        Args:
            service: its name; one that cannot be a service's has no endpoint.
            listener: called with all endpoints of the service, those on standby too: as soon as
                the registry has told them (at once, where it need not be asked), then at each
                change. Never because the registry is lost.

        Returns:
            A function that ends it.
        """

    def endpoints(self) -> Deferred[list[Endpoint]]:
        """Ask for all endpoints of all services.

        Returns:
            Fires with them; fails with `RegistryError` when the registry does not answer.
        """

    def announce(self, endpoint: Endpoint) -> Lease:
        """Enter a replica; the entry may come to stand a little later.

        Raises:
            RegistryError: it cannot be entered, and never will be; the message says what to do.
        """

    def lock(self, name: str, holder: str) -> Deferred[Lock | None]:
        """Take a lock, if nobody has it.

        Args:
            name: the lock's, such as "replace.users".
            holder: who takes it, for people.

        Returns:
            Fires with the lock, or with None when another holds it; fails with `RegistryError`
            when the registry cannot be reached, or keeps no locks.
        """

    def holder(self, name: str) -> Deferred[str]:
        """Ask who has a lock now.

        Args:
            name: the lock's.

        Returns:
            Fires with the holder, in its own words as given to `lock`, or with "" when nobody has
            it; fails with `RegistryError` as `lock` does.
        """

    def age_s(self) -> float | None:
        """How long ago the registry last told or confirmed what is known of it, in seconds.

        None while it has told nothing yet.
        """

    def close(self) -> None:
        """End all watching; leases and locks that are held are given up.

        None is to be had after that: `announce` raises `RegistryError`, and `lock` and `holder`
        fail with it.
        """
