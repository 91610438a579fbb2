"""twisted.web as it comes: a leaf resource on the default reactor, its access log off.

It neither routes nor validates, and it encodes with msgspec like ours: what is compared is the
server, and its users' best case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from ..items import encode, item


class _Items(Resource):
    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        assert request.path is not None
        request.setHeader(b"content-type", b"application/json")
        return encode(item(request.path[len(b"/v1/items/") :].decode("ascii")))


def serve(announce: Callable[[str], None]) -> None:
    """Serve until the process is ended."""
    from twisted.internet import reactor

    twisted: Any = reactor
    items: Any = _Items
    site: Any = Site(items())
    # Formatting a line for each request would cost it 12 us more.
    site.log = lambda _request: None
    port = twisted.listenTCP(0, site, 1024, "127.0.0.1")
    announce(f"127.0.0.1:{port.getHost().port}")
    twisted.run()
