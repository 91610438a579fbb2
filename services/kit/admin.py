"""The admin port: is it alive, is it ready, what does it count and decide, make it leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from twisted.internet.defer import Deferred

from .pages import Form, Page
from .problem import Problem
from .server import Site

_JSON = "application/json"
_JSON_LINES = "application/x-ndjson"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def admin_site(
    *,
    replica: str,
    metrics: Callable[[], Deferred[bytes]],
    decisions: Callable[[], Deferred[bytes]],
    state: Callable[[], str],
    announce: Callable[[float | None], None],
    drain: Callable[[], None],
) -> Site:
    """Make the admin port's site.

    Ports are used again. Whoever has a replica do something may say in the query which one is
    meant, as ``?replica=NAME``: another one that has the port by now answers 421, and does nothing.

    Args:
        replica: its own name.
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

    def check_meant(fields: Mapping[str, str]) -> None:
        if fields.get("replica", replica) != replica:
            raise Problem(
                421,
                "misdirected",
                detail=f"This is {replica}, and has done nothing; whoever was asked has left "
                "this address.",
                # No Mesh-Nack: that would have somebody else asked to leave.
                replica=replica,
            )

    def announced(fields: Mapping[str, str]) -> tuple[int, bytes]:
        check_meant(fields)
        try:
            weight = float(fields["weight"]) if "weight" in fields else None
        except ValueError:
            weight = 0.0
        if weight is not None and not 0.001 <= weight <= 1000:
            detail = "weight is a number from 0.001 to 1000"
            return 422, msgspec.json.encode({"status": state(), "detail": detail})
        announce(weight)
        return ready()

    def leave(fields: Mapping[str, str]) -> tuple[int, bytes]:
        check_meant(fields)
        drain()
        return 202, msgspec.json.encode({"status": state()})

    site = Site()
    site.add("GET", "/health/live", Page("admin.live", _JSON, live))
    site.add("GET", "/health/ready", Page("admin.ready", _JSON, ready))
    site.add("GET", "/metrics", Page("admin.metrics", _TEXT, metrics))
    site.add("GET", "/decisions", Page("admin.decisions", _JSON_LINES, decisions))
    site.add("POST", "/announce", Form("admin.announce", _JSON, announced))
    site.add("POST", "/drain", Form("admin.drain", _JSON, leave))
    return site
