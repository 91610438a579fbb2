"""The admin port: is it alive, is it ready, what does it count and decide, make it leave."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import msgspec

from balancer.telemetry import DecisionLog

from .metrics import Exposition
from .pages import Page
from .server import Site

_JSON = "application/json"
_JSON_LINES = "application/x-ndjson"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def admin_site(
    exposition: Exposition,
    decisions: DecisionLog,
    *,
    state: Callable[[], str],
    announce: Callable[[], None],
    drain: Callable[[], None],
) -> Site:
    """Make the admin port's site.

    Args:
        exposition: the metrics.
        decisions: why the replica's own calls went where they went.
        state: "starting", "standby", "ready" or "draining".
        announce: has a replica that stands by take calls; harmless for any other.
        drain: begins the replica's leaving; harmless the second time.
    """

    def live() -> bytes:
        return msgspec.json.encode({"status": "live"})

    def ready() -> tuple[int, bytes]:
        now = state()
        return 200 if now == "ready" else 503, msgspec.json.encode({"status": now})

    def decided() -> bytes:
        file = BytesIO()
        decisions.write(file)
        return file.getvalue()

    def announced() -> tuple[int, bytes]:
        announce()
        return ready()

    def leave() -> tuple[int, bytes]:
        drain()
        return 202, msgspec.json.encode({"status": state()})

    site = Site()
    site.add("GET", "/health/live", Page("admin.live", _JSON, live))
    site.add("GET", "/health/ready", Page("admin.ready", _JSON, ready))
    site.add("GET", "/metrics", Page("admin.metrics", _TEXT, exposition.text))
    site.add("GET", "/decisions", Page("admin.decisions", _JSON_LINES, decided))
    site.add("POST", "/announce", Page("admin.announce", _JSON, announced))
    site.add("POST", "/drain", Page("admin.drain", _JSON, leave))
    return site
