"""aiohttp as its users write it: one session, its default timeout, the JSON decoded.

It does not balance: half of the workers ask each server.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from ..items import IDS, IN_FLIGHT, PLAIN
from ..window import Order, Sample
from .asyncio_load import load


async def _call(order: Order) -> Sample:
    count = len(order.addresses)
    urls = [
        f"http://{order.addresses[worker % count]}/v1/items/{IDS[worker]}"
        for worker in range(IN_FLIGHT)
    ]
    async with aiohttp.ClientSession(raise_for_status=True) as session:

        async def ask(worker: int) -> Any:
            async with session.get(urls[worker]) as response:
                return await response.json()

        return await load(order, ask, PLAIN)


def call(order: Order) -> Sample:
    """Make calls and give the sample of the window."""
    return asyncio.run(_call(order))
