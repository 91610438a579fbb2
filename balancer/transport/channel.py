"""What dispatch asks of a way to one replica; sockets and simulated worlds both offer it."""

from __future__ import annotations

from typing import Any, Protocol

from ..errors import CallError
from ..values import Reply


class Attempt(Protocol):
    """One try of a call on one replica.

    Attributes:
        carrier: for the channel's own use while the attempt is with it; None otherwise.
    """

    carrier: Any

    def payload(self) -> bytes:
        """The request as bytes, made at the moment of sending, so that its deadline is true."""

    def replied(self, reply: Reply) -> None:
        """A whole reply came. The attempt has ended."""

    def failed(self, error: CallError) -> None:
        """No reply will come. The attempt has ended; ``error.sent`` says how far it got."""


class Channel(Protocol):
    """A way to one replica."""

    def start(self, attempt: Attempt, *, bodiless: bool = False) -> None:
        """Send an attempt's request; exactly one of ``replied`` and ``failed`` follows.

        Args:
            attempt: what to send and whom to tell.
            bodiless: whether the answer has no body whatever its length says (HEAD).
        """

    def abandon(self, attempt: Attempt) -> None:
        """Forget an attempt that was started: neither ``replied`` nor ``failed`` follows."""

    def close(self) -> None:
        """Take nothing new: what runs may finish, what is idle is closed."""
