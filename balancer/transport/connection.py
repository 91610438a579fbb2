"""One connection to a replica: one request at a time, kept between requests.

No pipelining: an answer that is slow would hold up those behind it, and a connection that breaks
would take several calls with it.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure

from ..errors import BadReply, ReplyLost
from ..wire import BadMessage, ReplyParser, WireLimits
from .channel import Attempt


class Owner(Protocol):
    """Who keeps connections."""

    def made(self, connection: Connection) -> None:
        """The connection stands."""

    def released(self, connection: Connection) -> None:
        """Its request is answered and it can take another."""

    def lost(self, connection: Connection) -> None:
        """It is closed."""


class Connection(protocol.Protocol):
    """See the module.

    Attributes:
        used: whether it was used since the owner last looked.
    """

    transport: ITCPTransport

    def __init__(self, owner: Owner, address: str, limits: WireLimits) -> None:
        """Begin unconnected.

        Args:
            owner: told of what becomes of it.
            address: "host:port", for messages.
            limits: what a reply may be.
        """
        self._owner = owner
        self._address = address
        self._parser = ReplyParser(limits)
        self._feed = self._parser.feed
        self._attempt: Attempt | None = None
        self._write: Any = None
        self.used = True

    def connectionMade(self) -> None:
        """Turn Nagle's algorithm off: a request is one write and waits for nothing."""
        self.transport.setTcpNoDelay(True)
        self._write = self.transport.write
        self._owner.made(self)

    def send(self, attempt: Attempt, *, bodiless: bool) -> None:
        """Send an attempt's request; the connection must be free."""
        self._attempt = attempt
        self.used = True
        attempt.carrier = self
        if bodiless:
            self._parser.expect(bodiless=True)
        self._write(attempt.payload())

    def dataReceived(self, data: bytes) -> None:
        """Take in a piece of the reply."""
        attempt = self._attempt
        if attempt is None:
            # Nobody asked: a late "408" or a confused peer. No request may follow on this, also
            # not in the moment until the reactor tells that it is closed.
            self._owner.lost(self)
            self.transport.abortConnection()
            return
        try:
            reply = self._feed(data)
        except BadMessage as error:
            self._attempt = attempt.carrier = None
            self.transport.abortConnection()
            attempt.failed(
                BadReply(
                    f"{self._address} sent an answer that cannot be used: {error.detail}",
                    sent=True,
                )
            )
            return
        if reply is None:
            return
        self._attempt = attempt.carrier = None
        # Before the attempt is told: what it does next may want this connection.
        if self._parser.keep_alive:
            self._owner.released(self)
        else:
            # Not loseConnection: a peer that answers early and does not read the rest of the
            # request would keep it, and its place in the pool, for ever.
            self.transport.abortConnection()
        attempt.replied(reply)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        """Tell the attempt, if one was waiting, and the owner."""
        attempt, self._attempt = self._attempt, None
        self._owner.lost(self)
        if attempt is None:
            return
        attempt.carrier = None
        # Only a close in good order ends a reply that has no length; a reset has cut it.
        reply = self._parser.end() if reason.check(ConnectionDone) else None
        if reply is not None:
            attempt.replied(reply)
            return
        part = "in the middle of" if self._parser.begun else "before"
        attempt.failed(
            ReplyLost(
                f"{self._address} closed the connection {part} its answer; "
                "the replica may have died or been stopped",
                sent=True,
            )
        )

    def abandon(self) -> None:
        """Forget the attempt that is out; the connection ends, for its answer may still come."""
        self._attempt = None
        self.transport.abortConnection()

    def close(self) -> None:
        """Close an idle connection."""
        self.transport.loseConnection()
