"""The admin port: is it alive, is it ready, what does it count, make it leave."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .metrics import Exposition
from .pages import Page
from .server import Site

_JSON = "application/json"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def admin_site(exposition: Exposition, state: Callable[[], str], drain: Callable[[], None]) -> Site:
    """Make the admin port's site.

    Args:
        exposition: the metrics.
        state: "starting", "ready" or "draining".
        drain: begins the replica's leaving; harmless the second time.
    """

    def live() -> bytes:
        return msgspec.json.encode({"status": "live"})

    def ready() -> tuple[int, bytes]:
        now = state()
        return 200 if now == "ready" else 503, msgspec.json.encode({"status": now})

    def leave() -> tuple[int, bytes]:
        drain()
        return 202, msgspec.json.encode({"status": state()})

    site = Site()
    site.add("GET", "/health/live", Page("admin.live", _JSON, live))
    site.add("GET", "/health/ready", Page("admin.ready", _JSON, ready))
    site.add("GET", "/metrics", Page("admin.metrics", _TEXT, exposition.text))
    site.add("POST", "/drain", Page("admin.drain", _JSON, leave))
    return site
