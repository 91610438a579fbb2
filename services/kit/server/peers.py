"""What a server is told of the other processes that serve with it."""

from __future__ import annotations

from typing import Protocol


class Peers(Protocol):
    """The other processes that accept on the same socket, and this one among them."""

    def serve(self) -> None:
        """Count as one that takes connections."""

    def clear(self) -> None:
        """Count no more."""

    def connected(self, count: int) -> None:
        """Tell the others how many connections this process has."""

    def yields(self) -> bool:
        """Whether another process has fewer connections."""

    def surplus(self) -> int:
        """How many connections this process should give away."""

    def elsewhere(self, in_flight: int) -> int:
        """Tell the others of this process's requests in flight, and hear of theirs."""
