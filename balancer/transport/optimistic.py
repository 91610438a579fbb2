"""Twisted's TCP transports with writes that are tried at once.

A stock transport buffers what is written, asks the poller to tell when the socket can be written
to, and sends on the next turn: two system calls and one more event a message. A socket is
nearly always writable, so this sends first, and only what the kernel did not take goes the stock
way. It works on every reactor that uses Twisted's own TCP transports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IProtocolFactory, IReactorCore
from twisted.internet.protocol import ClientFactory


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


class OptimisticClient(_Optimistic, tcp.Client):
    """The transport of a connection that we made."""


class OptimisticPort(tcp.Port):
    """A listening port whose connections write at once."""

    transport = OptimisticServer


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
