"""What is known of one service, and whether something was missed. Pure.

A full read gives a version and everything; each change since comes with the next version. A change
that is not the next one was missed or comes late: then all is read anew. The heart-beat brings the
version too, so that even the last change is not missed for long.

A read and the changes come on two connections, so a read may arrive after changes that are newer
than it, and is then passed over. A registry that was emptied counts from the beginning again: its
epoch says so, and what is known then has no version any more.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...values import Endpoint


class Change(msgspec.Struct, frozen=True):
    """One message of a service's channel.

    Attributes:
        version: the service's, with this change.
        entered: the endpoint that is new, or told anew.
        left: the replicas that are gone.
    """

    version: int
    entered: Endpoint | None = None
    left: list[str] = []


class State:
    """See the module."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        # None: nothing was read yet.
        self.version: int | None = None
        self._endpoints: dict[str, Endpoint] = {}
        # The newest version that was heard of while a read was awaited.
        self._newest = 0

    def endpoints(self) -> list[Endpoint]:
        """All of them, by name."""
        return [self._endpoints[name] for name in sorted(self._endpoints)]

    def begin_anew(self) -> None:
        """Forget the version: the registry's own starts over. The endpoints stay until a read."""
        self.version = None

    def ask(self) -> None:
        """Take note that a full read is asked for."""
        self._newest = 0

    def read(self, version: int, endpoints: Iterable[Endpoint]) -> bool:
        """Take a full read.

        Args:
            version: the service's, when it was read.
            endpoints: all of them.

        Returns:
            Whether this is all there is; otherwise it has to be read once more.
        """
        if self.version is None or version >= self.version:
            self.version = version
            self._endpoints = {endpoint.replica: endpoint for endpoint in endpoints}
        return self._newest <= self.version

    def hear(self, change: Change) -> bool:
        """Take a change.

        Returns:
            Whether this is all there is; otherwise it has to be read.
        """
        self._newest = max(self._newest, change.version)
        if self.version is None or change.version > self.version + 1:
            return False
        if change.version == self.version + 1:
            self.version = change.version
            if change.entered is not None:
                self._endpoints[change.entered.replica] = change.entered
            for replica in change.left:
                self._endpoints.pop(replica, None)
        return True  # or it comes late, and was in what was read

    def confirm(self, version: int) -> bool:
        """Compare with the version that the registry has.

        Returns:
            Whether it is the one that is known.
        """
        return version == self.version
