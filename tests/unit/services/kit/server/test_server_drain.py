"""Which drains are worth a warning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, globalLogPublisher

from services.kit.server import Server, ServerSettings, Site


class Transport(StringTransport):
    """One of a connection that a scraper keeps."""

    def setTcpNoDelay(self, _: bool) -> None:
        """As TCP has it."""


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
