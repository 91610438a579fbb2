"""The load for comparing servers: sockets and epoll alone, 32 connections, one request on each.

It costs less than any server here, so the server is what is busy, and it treats all alike: the same
bytes, with three header fields. One of them is a deadline, so that ours has one to read and keep;
to the others it is a field like any.
"""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import suppress

from ..items import IDS, PLAIN
from ..window import Order, Sample, Window, WrongAnswer

_GOOD = b"HTTP/1.1 200 "
_SILENT_S = 5.0


class _Line:
    """One connection and the answer that its requests must have."""

    def __init__(self, address: str, worker: int) -> None:
        self._address = address
        self.socket = self._connect()
        self.request = (
            f"GET /v1/items/{IDS[worker]} HTTP/1.1\r\n"
            "Host: items\r\nAccept: application/json\r\nMesh-Deadline: 1000\r\n\r\n"
        ).encode("ascii")
        self.received = b""
        self.body = self._first_answer(worker)
        self.socket.setblocking(False)

    def _connect(self) -> socket.socket:
        host, _, port = self._address.rpartition(":")
        made = socket.create_connection((host, int(port)), timeout=_SILENT_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def again(self) -> None:
        """Connect anew, and ask once more what was not answered."""
        self.socket.close()
        self.socket = self._connect()
        self.socket.setblocking(False)
        self.socket.send(self.request)

    def receive(self) -> bytes:
        """What has come; nothing when the server has ended the connection."""
        try:
            return self.socket.recv(65536)
        except ConnectionError:
            return b""

    def _first_answer(self, worker: int) -> bytes:
        """The bytes of a good answer's body, checked once as JSON; later ones must be the same."""
        self.socket.sendall(self.request)
        data = b""
        while True:
            piece = self.socket.recv(65536)
            data += piece
            head, whole, body = data.partition(b"\r\n\r\n")
            if not piece:
                raise WrongAnswer(f"the connection was closed after {data!r}")
            if whole and b"content-length: %d\r\n" % len(body) in head.lower() + b"\r\n":
                break
        if not head.startswith(_GOOD) or json.loads(body) != PLAIN[worker]:
            raise WrongAnswer(f"{data!r} is not the answer to {self.request!r}")
        return body


def call(order: Order) -> Sample:
    """Load one server and give the sample of the window."""
    lines = [_Line(order.addresses[0], worker) for worker in range(len(IDS))]
    _load(lines, Window(order.pids), order.warm_up_s)
    window = Window(order.pids)
    _load(lines, window, order.seconds)
    return window.sample()


def _load(lines: list[_Line], window: Window, seconds: float) -> None:
    poller = select.epoll()
    by_descriptor = {line.socket.fileno(): line for line in lines}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.EPOLLIN)
    until = time.monotonic() + seconds
    for line in lines:
        line.socket.send(line.request)
    waiting = len(lines)
    calls = 0
    while waiting:
        events = poller.poll(_SILENT_S)
        if not events:
            raise WrongAnswer(f"the server was silent for {_SILENT_S:.0f} s")
        more = time.monotonic() < until
        for descriptor, _ in events:
            line = by_descriptor[descriptor]
            data = line.receive()
            if not data and not line.received:
                # A worker that has more connections than the others gives some away.
                del by_descriptor[descriptor]
                line.again()
                by_descriptor[line.socket.fileno()] = line
                poller.register(line.socket.fileno(), select.EPOLLIN)
                continue
            if line.received or not data.endswith(line.body):
                # In pieces, as servers do that write head and body apart.
                if not data:
                    raise WrongAnswer("the server closed a connection")
                line.received += data
                if not line.received.endswith(line.body):
                    continue
                data, line.received = line.received, b""
            if not data.startswith(_GOOD):
                raise WrongAnswer(f"{data!r} is not the answer to {line.request!r}")
            calls += 1
            if more:
                with suppress(ConnectionError):  # that is seen at its end, just above
                    line.socket.send(line.request)
            else:
                waiting -= 1
    window.calls = calls
    poller.close()
