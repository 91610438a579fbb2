"""Servers on the test's own reactor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_twisted

from balancer import MonotonicClock
from services.kit.server import Server, ServerSettings, Site
from tests.integration.http.routes import Serve
from tests.processes import until


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def serve() -> AsyncIterator[Serve]:
    """A function that serves a site and returns the server and its address.

    At the end every connection must be forgotten and no request be left in flight.
    """
    from twisted.internet import reactor

    servers: list[Server] = []

    def start(site: Site, **settings: Any) -> tuple[Server, str]:
        server = Server(
            site,
            ServerSettings(**settings),
            clock=MonotonicClock(reactor),
            wall=lambda: datetime(2026, 11, 20, tzinfo=UTC),
        )
        servers.append(server)
        return server, server.listen(reactor, "127.0.0.1", 0)

    yield start
    for server in servers:
        server.close_port()
        await server.drain(0.0)
        await _forgets(server)


async def _forgets(server: Server) -> None:
    await until(lambda: not server.connections, "every connection is forgotten")
    await until(lambda: not server.serving.meter.in_flight, "no request is left in flight")
