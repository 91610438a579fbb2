"""grpc.aio with its own round_robin balancing over the servers and a deadline a call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc.aio
import msgspec

from ..items import IDS, TYPED, FetchItem, Item, encode
from ..window import Order, Sample
from .asyncio_load import load

_POLICY = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


async def _call(order: Order) -> Sample:
    target = "ipv4:" + ",".join(order.addresses)
    options = [("grpc.service_config", _POLICY)]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        fetch = channel.unary_unary(
            "/bench.Items/Fetch",
            request_serializer=encode,
            response_deserializer=msgspec.json.Decoder(Item).decode,
        )

        def ask(worker: int) -> Any:
            return fetch(FetchItem(id=IDS[worker]), timeout=1.0)

        return await load(order, ask, TYPED)


def call(order: Order) -> Sample:
    """Make calls and give the sample of the window."""
    return asyncio.run(_call(order))
