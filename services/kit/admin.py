"""The admin port: is it alive, is it ready, what does it count and decide, make it leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec
from twisted.internet.defer import Deferred

from .pages import Form, Made
from .problem import Problem
from .server import Site

_JSON = "application/json"
_JSON_LINES = "application/x-ndjson"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Fields: TypeAlias = Mapping[str, str]
Answers: TypeAlias = Callable[[Fields], Made | Deferred[bytes]]


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

    Ports are used again. On every path the query may say which replica is meant, as
    ``?replica=NAME``: another one that has the port by now answers 421, and does nothing.

    Args:
        replica: its own name.
        metrics: all counters in Prometheus's form.
        decisions: why the replica's own calls went where they went, as JSON lines.
        state: "starting", "standby", "ready" or "draining".
        announce: has a replica that stands by take calls, and one that takes calls have another
            weight if one is given.
        drain: begins the replica's leaving; harmless the second time.
    """

    def live(_: Fields) -> bytes:
        return msgspec.json.encode({"status": "live"})

    def ready(_: Fields) -> tuple[int, bytes]:
        now = state()
        return 200 if now == "ready" else 503, msgspec.json.encode({"status": now})

    def announced(fields: Fields) -> tuple[int, bytes]:
        try:
            weight = float(fields["weight"]) if "weight" in fields else None
        except ValueError:
            weight = 0.0
        if weight is not None and not 0.001 <= weight <= 1000:
            detail = "weight is a number from 0.001 to 1000"
            return 422, msgspec.json.encode({"status": state(), "detail": detail})
        announce(weight)
        return ready(fields)

    def leave(_: Fields) -> tuple[int, bytes]:
        drain()
        return 202, msgspec.json.encode({"status": state()})

    site = Site()

    def add(method: str, path: str, content_type: str, make: Answers, *fields: str) -> None:
        def checked(fields: Fields) -> Made | Deferred[bytes]:
            if fields.get("replica", replica) != replica:
                raise _another(replica)
            return make(fields)

        name = path.rpartition("/")[2]
        known = ("replica", *fields)
        site.add(method, path, Form(f"admin.{name}", content_type, checked, known))

    add("GET", "/health/live", _JSON, live)
    add("GET", "/health/ready", _JSON, ready)
    add("GET", "/metrics", _TEXT, lambda _: metrics())
    add("GET", "/decisions", _JSON_LINES, lambda _: decisions())
    add("POST", "/announce", _JSON, announced, "weight")
    add("POST", "/drain", _JSON, leave)
    return site


def _another(replica: str) -> Problem:
    return Problem(
        421,
        "misdirected",
        detail=f"This is {replica}, and has done nothing; whoever was asked has left this address.",
        # No Mesh-Nack: that would have somebody else asked to leave.
        replica=replica,
    )
