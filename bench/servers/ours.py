"""Our server as a replica runs it: mesh reactor, routing, validation, deadlines, limits, metrics.

It is put together like `services.kit.replica`, without the registry, the admin port and the log,
which no request touches.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from balancer.transport.reactor import install

from ..items import FetchItem, Item, Items, item


def serve(announce: Callable[[str], None]) -> None:
    """Serve until the process is ended."""
    reactor = install()

    from balancer import MonotonicClock
    from clients.contract import openapi
    from services.kit import Service
    from services.kit.apipage import add_api_pages
    from services.kit.server import Server, ServerSettings, Site

    service: Service[None] = Service(Items)

    @service.answers(Items.fetch)
    async def fetch(request: FetchItem) -> Item:
        return item(request.id)

    site = Site()
    for call, route in service.routes(None):
        site.add(call.method, call.path, route)
    add_api_pages(site, openapi(Items, "1"))
    server = Server(
        site, ServerSettings(), clock=MonotonicClock(reactor), wall=lambda: datetime.now(UTC)
    )
    announce(server.listen(reactor, "127.0.0.1", 0))
    reactor.run()
