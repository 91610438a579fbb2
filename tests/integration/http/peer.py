"""A client that sends whatever bytes it is told to, and answers as they came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*").fullmatch


class Received:
    """One answer.

    Attributes:
        status: its HTTP status.
        headers: by lower-case name; none may come twice.
        body: raw.
    """

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:200]!r}>"


def read_answers(stream: bytes, *, head: bool = False) -> list[Received]:
    """All whole answers in a stream, which must be nothing else than answers of our server.

    Args:
        stream: what was received.
        head: whether HEAD was asked, so that no body follows.
    """
    answers = []
    while (end := stream.find(b"\r\n\r\n")) >= 0:
        first, *lines = stream[:end].split(b"\r\n")
        matched = _STATUS(first)
        assert matched, first
        status = int(matched[1])
        headers: dict[bytes, bytes] = {}
        for line in lines:
            name, colon, value = line.partition(b": ")
            assert colon, line
            assert name.lower() not in headers, name
            headers[name.lower()] = value
        assert b"transfer-encoding" not in headers
        length = 0 if status < 200 or head else int(headers[b"content-length"])
        if len(stream) < end + 4 + length:
            break
        answers.append(Received(status, headers, stream[end + 4 : end + 4 + length]))
        stream = stream[end + 4 + length :]
    return answers


class Peer(Protocol):
    """One connection.

    Attributes:
        closed: whether the server has ended the connection.
        reason: why it ended.
    """

    def __init__(self, *, reads: bool = True) -> None:
        """Begin unconnected.

        Args:
            reads: False for a peer that never reads an answer.
        """
        self._data = bytearray()
        self.closed = False
        self.reason: Failure | None = None
        self._reads = reads
        self._awaited: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    @property
    def data(self) -> bytes:
        """What was received since the last `clear`."""
        return bytes(self._data)

    @property
    def size(self) -> int:
        """Length of `data`, in bytes."""
        return len(self._data)

    def clear(self) -> None:
        """Forget what was received so far."""
        self._data.clear()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        if not self._reads:
            transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = True
        self.reason = reason
        self._look()

    def _look(self) -> None:
        for entry in list(self._awaited):
            condition, deferred = entry
            if value := condition():
                self._awaited.remove(entry)
                deferred.callback(value)

    def send(self, data: bytes) -> None:
        """Write to the socket."""
        transport: Any = self.transport
        transport.write(data)

    def read_on(self) -> None:
        """Begin to read after all."""
        transport: Any = self.transport
        transport.resumeProducing()

    def hang_up(self) -> None:
        """Close without a word."""
        transport: Any = self.transport
        transport.abortConnection()

    def end_sending(self) -> None:
        """Close the sending half."""
        transport: Any = self.transport
        transport.loseWriteConnection()

    def until(self, condition: Callable[[], Any], within_s: float = 10.0) -> Deferred[Any]:
        """Wait for what the server sends or for its closing.

        Args:
            condition: looked at after each event; its first true value is returned.
            within_s: when to fail.
        """
        from twisted.internet import reactor

        deferred: Deferred[Any] = Deferred()
        if value := condition():
            deferred.callback(value)
            return deferred
        self._awaited.append((condition, deferred))
        return deferred.addTimeout(within_s, reactor)

    async def answers(self, count: int, *, head: bool = False) -> list[Received]:
        """Wait for a number of whole answers."""

        def there() -> list[Received] | None:
            found = read_answers(self.data, head=head)
            return found if len(found) >= count or self.closed else None

        found: list[Received] = await self.until(there)
        assert len(found) == count, (found, self.closed)
        return found

    async def answer(self, *, head: bool = False) -> Received:
        """Wait for the one answer."""
        return (await self.answers(1, head=head))[0]

    async def only_answer_then_closed(self, within_s: float = 10.0) -> Received:
        """Wait for the end of the connection, before which one answer must have come."""
        await self.until(lambda: self.closed, within_s)
        (answer,) = read_answers(self.data)
        assert answer.headers[b"connection"] == b"close"
        return answer


async def connect(address: str, *, reads: bool = True) -> Peer:
    """Connect to "host:port"."""
    from twisted.internet import reactor

    host, _, port = address.rpartition(":")
    endpoint = HostnameEndpoint(reactor, host, int(port))
    peer: Peer = await connectProtocol(endpoint, Peer(reads=reads))
    return peer
