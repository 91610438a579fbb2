"""Twisted's TCP transports with writes that are tried at once.

A stock transport buffers what is written, asks the poller to tell when the socket can be written
to, and sends on the next turn: two system calls and one more event a message. A socket is
nearly always writable, so this sends first, and only what the kernel did not take goes the stock
way. It works on every reactor that uses Twisted's own TCP transports.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IProtocolFactory, IReactorCore
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import ClientFactory
from twisted.python import log
from twisted.python.failure import Failure


class _Optimistic(tcp.Connection):
    """Sends at once when nothing is waiting to be sent."""

    def write(self, data: bytes) -> None:
        """Send, or leave to the reactor what the kernel does not take now."""
        if (
            self.dataBuffer
            or self._tempDataBuffer
            or self.disconnecting
            or not self.connected
            or getattr(self, "TLS", False)
            or self._writeDisconnecting
            or self._writeDisconnected
        ):
            super().write(data)
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            # The connection is gone. The stock way finds that out outside of the caller's stack.
            sent = 0
        if sent != len(data):
            super().write(data[sent:])


class OptimisticServer(_Optimistic, tcp.Server):
    """The transport of an accepted connection."""

    def read_now(self) -> None:
        """Hand over what has come and lies unread.

        Timers run before sockets are read: one that is to judge what a peer does asks this first.
        """
        if not self.connected:
            return
        try:
            over = self.doRead()
        except Exception:  # noqa: BLE001 - as a reactor: log, drop the connection
            log.err()
            self.connectionLost(Failure())
        else:
            if over:
                self.connectionLost(Failure(over))

    def close_now(self) -> None:
        """Close in this turn where nothing is left to be written, otherwise when that is out.

        An ordinary close takes effect a turn later, and what comes meanwhile is thrown away.
        """
        self.loseConnection()
        if self.connected and not (self.dataBuffer or self._tempDataBuffer):
            self.connectionLost(Failure(CONNECTION_DONE))


class OptimisticClient(_Optimistic, tcp.Client):
    """The transport of a connection that we made."""


class OptimisticPort(tcp.Port):
    """A listening port whose connections write at once, and that closes on nobody.

    The kernel makes connections that nobody has accepted yet, and resets them when the last
    descriptor of the port is closed: requests may have been sent on them. So the last act before
    that is to accept them.

    Attributes:
        last_call: how many are accepted then at most: none where others will take them.
    """

    transport = OptimisticServer
    last_call = 0

    def _closeSocket(self, orderly: bool) -> None:
        self.numberAccepts = self.last_call
        tcp.Port.doRead(self)
        super()._closeSocket(orderly)


class SharedPort(OptimisticPort):
    """A listening socket on which other processes accept as well: each takes its share.

    A stock port accepts up to a hundred connections at one event, so whoever wakes first would
    take a caller's whole pool, for as long as the pool lives. This one takes one at a time, and
    first leaves it for a moment to a process that has fewer.
    """

    # How long (seconds): a process that is not busy has waked and accepted by then, and one
    # that is busy or frozen keeps no caller waiting for longer than this.
    _PATIENCE_S = 0.002

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As Twisted makes a port."""
        super().__init__(*args, **kwargs)
        self.yields: Callable[[], bool] = lambda: False

    def doRead(self) -> None:
        """Accept a connection, unless another process should."""
        if self.yields():
            self.stopReading()
            timers: Any = self.reactor
            timers.callLater(self._PATIENCE_S, self._insist)
        else:
            self._accept_one()

    def _insist(self) -> None:
        """Take the connection that nobody else wanted, if it is still there."""
        if self.connected and not self.disconnecting:
            self.startReading()
            self._accept_one()

    def _accept_one(self) -> None:
        self.numberAccepts = 1
        super().doRead()


class _OptimisticConnector(tcp.Connector):
    def _makeTransport(self) -> Any:
        return OptimisticClient(self.host, self.port, self.bindAddress, self, self.reactor)


def listen(
    reactor: IReactorCore, host: str, port: int, factory: IProtocolFactory, backlog: int = 1024
) -> OptimisticPort:
    """Listen on a TCP port.

    Args:
        reactor: any reactor with Twisted's TCP transports.
        host: the interface's address.
        port: 0 takes any free one.
        factory: makes a protocol a connection.
        backlog: connections that the kernel keeps while we are busy; 1,024 bridges a pause
            of 100 ms at 10,000 connects a second.

    Raises:
        twisted.internet.error.CannotListenError: the address is taken or not ours.
    """
    listening = OptimisticPort(port, factory, backlog, host, reactor)
    listening.startListening()
    return listening


def listen_on(
    reactor: IReactorCore,
    listening: socket.socket,
    factory: IProtocolFactory,
    yields: Callable[[], bool] | None = None,
) -> OptimisticPort:
    """Accept on a socket that is there already: passed by systemd, or by another process.

    Args:
        reactor: any reactor with Twisted's TCP transports.
        listening: a TCP socket that listens; the port has a descriptor of its own of it, and does
            not shut it down for others when it stops.
        factory: makes a protocol a connection.
        yields: whether another process on the same socket should take the next connection; None
            when there is no other.
    """
    listening.setblocking(False)
    kind = OptimisticPort if yields is None else SharedPort
    port = kind._fromListeningDescriptor(  # noqa: SLF001 - `adoptStreamPort` makes stock ones only
        reactor, listening.fileno(), listening.family, factory
    )
    if yields is not None:
        port.yields = yields
    port.startListening()
    found: OptimisticPort = port
    return found


class _OneConnection(ClientFactory):
    """Builds one protocol, and says when no connection came about."""

    noisy = False

    def __init__(self, protocol: Any, on_failure: Callable[[str], None]) -> None:
        self._protocol = protocol
        self._on_failure = on_failure

    def buildProtocol(self, addr: object) -> Any:
        return self._protocol

    def clientConnectionFailed(self, connector: object, reason: Any) -> None:
        self._on_failure(str(reason.value))


def connect(
    reactor: IReactorCore,
    host: str,
    port: int,
    protocol: Any,
    on_failure: Callable[[str], None],
    timeout_s: float,
) -> None:
    """Make a TCP connection for one protocol.

    Args:
        reactor: any reactor with Twisted's TCP transports.
        host: a numeric address, or a name that the reactor's resolver knows.
        port: the TCP port.
        protocol: told by connectionMade when the connection stands.
        on_failure: told why, when it does not.
        timeout_s: when to give up, in seconds.
    """
    factory = _OneConnection(protocol, on_failure)
    _OptimisticConnector(host, port, factory, timeout_s, None, reactor).connect()
