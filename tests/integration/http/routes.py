"""Sites for tests: an echo of everything, and routes around plain functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from balancer.wire import IncomingRequest
from services.kit.server import Answer, Incoming, Route, RouteStats, Server, Site, answer_head

# Serves a site under settings on the reactor: the server and its address.
Serve = Callable[..., tuple[Server, str]]
Handler = Callable[[IncomingRequest], Coroutine[Any, Any, bytes]]


class FunctionRoute:
    """Serves a function's bytes."""

    def __init__(self, handler: Handler, body_limit: int | None = None) -> None:
        self.name = "test.route"
        self.body_limit = body_limit
        self.stats = RouteStats()
        self.calls = 0
        self._handler = handler

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        self.calls += 1
        return self._handler(incoming.request)

    def finish(self, result: bytes) -> Answer:
        return Answer(200, answer_head(200, "text/plain"), result)


class EchoRoute(FunctionRoute):
    """Says in a header what request was understood."""

    def __init__(self) -> None:
        super().__init__(describe)

    def finish(self, result: bytes) -> Answer:
        return Answer(200, answer_head(200, "text/plain"), b"", b"X-Echo: %b\r\n" % result)


async def describe(request: IncomingRequest) -> bytes:
    target = request.path + (b"?" + request.query if request.query else b"")
    understood = {
        "m": request.method.decode("latin-1"),
        "t": target.decode("latin-1"),
        "n": len(request.body),
        "h": hashlib.sha1(request.body).hexdigest()[:16],
    }
    return json.dumps(understood).encode().hex().encode()


class EchoSite(Site):
    """Serves every method and path with the echo."""

    def __init__(self) -> None:
        super().__init__()
        self.echo = EchoRoute()

    def find(self, request: IncomingRequest) -> tuple[Route | None, list[str]]:
        return self.echo, []
