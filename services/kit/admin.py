"""The admin port: is it alive, is it ready, what does it count and decide, make it leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from twisted.internet.defer import Deferred

from .pages import Form, Page
from .server import Site

_JSON = "application/json"
_JSON_LINES = "application/x-ndjson"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def admin_site(
    *,
    metrics: Callable[[], Deferred[bytes]],
    decisions: Callable[[], Deferred[bytes]],
    state: Callable[[], str],
    announce: Callable[[float | None], None],
    drain: Callable[[], None],
) -> Site:
    """Make the admin port's site.

    Args:
        metrics: all counters in Prometheus's form.
        decisions: why the replica's own calls went where they went, as JSON lines.
        state: "starting", "standby", "ready" or "draining".
        announce: has a replica that stands by take calls, and one that takes calls have another
            weight if one is given.
        drain: begins the replica's leaving; harmless the second time.
    """

    def live() -> bytes:
        return msgspec.json.encode({"status": "live"})

    def ready() -> tuple[int, bytes]:
        now = state()
        return 200 if now == "ready" else 503, msgspec.json.encode({"status": now})

    def announced(fields: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            weight = float(fields["weight"]) if "weight" in fields else None
        except ValueError:
            weight = 0.0
        if weight is not None and not 0.001 <= weight <= 1000:
            detail = "weight is a number from 0.001 to 1000"
            return 422, msgspec.json.encode({"status": state(), "detail": detail})
        announce(weight)
        return ready()

    def leave() -> tuple[int, bytes]:
        drain()
        return 202, msgspec.json.encode({"status": state()})

    site = Site()
    site.add("GET", "/health/live", Page("admin.live", _JSON, live))
    site.add("GET", "/health/ready", Page("admin.ready", _JSON, ready))
    site.add("GET", "/metrics", Page("admin.metrics", _TEXT, metrics))
    site.add("GET", "/decisions", Page("admin.decisions", _JSON_LINES, decisions))
    site.add("POST", "/announce", Form("admin.announce", _JSON, announced))
    site.add("POST", "/drain", Page("admin.drain", _JSON, leave))
    return site
