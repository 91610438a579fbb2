"""treq as its users write it, on the default reactor: get, then decode the JSON.

Its pool keeps as many connections as there are calls in flight; with its default of two a host
most calls would make a new connection, and the comparison would be of connecting. It does not
balance: half of the workers ask each server.
"""

from __future__ import annotations

from typing import Any

from treq.client import HTTPClient
from twisted.web.client import Agent, HTTPConnectionPool

from ..items import IDS, IN_FLIGHT, PLAIN
from ..window import Order, Sample
from .deferred_load import run


def call(order: Order) -> Sample:
    """Make calls and give the sample of the window."""
    from twisted.internet import reactor

    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = IN_FLIGHT
    client = HTTPClient(Agent(reactor, pool=pool))
    count = len(order.addresses)
    urls = [
        f"http://{order.addresses[worker % count]}/v1/items/{IDS[worker]}"
        for worker in range(IN_FLIGHT)
    ]

    async def ask(worker: int) -> Any:
        response = await client.get(urls[worker], timeout=1)
        return await response.json()

    return run(reactor, order, ask, PLAIN)
