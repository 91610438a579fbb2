"""Whom a drain waits for, and which ones are worth a warning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, globalLogPublisher

from services.kit.server import Server, ServerSettings, Site


class Transport(StringTransport):
    """One of a connection that a scraper keeps."""

    def setTcpNoDelay(self, _: bool) -> None:
        """As TCP has it."""

    def read_now(self) -> None:
        """As an `OptimisticServer` has it."""

    def close_now(self) -> None:
        """As an `OptimisticServer` has it."""


@pytest.mark.parametrize(("patience_s", "warnings"), [(0.0, 0), (5.0, 1)])
async def test_only_patience_that_is_over_is_told(patience_s: float, warnings: int) -> None:
    clock = Clock()
    server = Server(Site(), ServerSettings(), clock=clock, wall=lambda: datetime.now(UTC))
    connection = server.buildProtocol(None)
    transport: Any = Transport
    connection.makeConnection(transport())
    connection.dataReceived(b"GET /x HTTP/1.1\r\n")  # not idle, so that it stays to the end
    told: list[Any] = []
    observer = cast("ILogObserver", told.append)
    globalLogPublisher.addObserver(observer)
    try:
        drained = server.drain(patience_s)
        clock.pump([0.1] * 60)
    finally:
        globalLogPublisher.removeObserver(observer)
    assert await drained is False
    assert len([event for event in told if "drain's time" in str(event)]) == warnings


REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class Port:
    """One that is open."""

    disconnecting = False

    def stopListening(self) -> Deferred[None]:
        """As any port has it."""
        return succeed(None)


async def test_who_has_just_connected_is_answered() -> None:
    clock = Clock()
    server = Server(Site(), ServerSettings(), clock=clock, wall=lambda: datetime.now(UTC))
    transport: Any = Transport
    server._port = cast("Any", Port())
    drained = server.drain(10.0, idle_s=1.0)
    clock.pump([0.1] * 9)
    late, silent = [server.buildProtocol(None) for _ in range(2)]
    for connection in (late, silent):
        connection.makeConnection(transport())
    clock.pump([0.1] * 5)
    assert not late.transport.disconnecting
    late.dataReceived(REQUEST)
    assert late.transport.value().startswith(b"HTTP/1.1 404 ")
    assert b"\r\nConnection: close\r\n" in late.transport.value()
    assert late.transport.disconnecting
    # Nobody says nothing for long who has something to say.
    clock.pump([0.1] * 6)
    assert silent.transport.disconnecting
    for connection in (late, silent):
        connection.connectionLost()
    clock.pump([0.1])
    assert not drained.called  # the port is open: others may come
    server.close_port()
    clock.pump([0.1])
    assert await drained is True
