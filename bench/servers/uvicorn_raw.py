"""uvicorn with a bare ASGI application: httptools, the asyncio loop, access log off.

No framework, no routing, no validation: the least that an asyncio service can cost.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from ..items import encode, item


async def _app(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[Any]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    body = encode(item(scope["path"][len("/v1/items/") :]))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def run(app: Any, announce: Callable[[str], None]) -> None:
    """Serve an ASGI application until the process is ended."""
    # The protocol is named, as in the sockets that uvicorn makes itself: asyncio turns Nagle's
    # algorithm off only where it is, and with it on each answer would wait 40 ms for its body.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http="httptools", loop="asyncio", lifespan="off", access_log=False, log_level="warning"
    )
    # The port listens from uvicorn's start on, so a caller that connects at once is not refused.
    listening.listen(1024)
    announce(f"127.0.0.1:{listening.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listening])


def serve(announce: Callable[[str], None]) -> None:
    """Serve until the process is ended."""
    run(_app, announce)
