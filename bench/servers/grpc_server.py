"""grpc.aio: a unary method with the item as JSON bytes, so that no generated code is needed.

msgspec's JSON is about as fast as protobuf for a message of this size; it is a small part of what a
gRPC call costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import msgspec

from ..items import FetchItem, Item, encode, item


async def _fetch(request: FetchItem, _context: Any) -> Item:
    return item(request.id)


async def _serve(announce: Callable[[str], None]) -> None:
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        _fetch,
        request_deserializer=msgspec.json.Decoder(FetchItem).decode,
        response_serializer=encode,
    )
    handler = grpc.method_handlers_generic_handler("bench.Items", {"Fetch": method})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    announce(f"127.0.0.1:{port}")
    await server.wait_for_termination()


def serve(announce: Callable[[str], None]) -> None:
    """Serve until the process is ended."""
    asyncio.run(_serve(announce))
