"""The benchmark's service with a handler that costs COSTLY_US microseconds of CPU time."""

from __future__ import annotations

import os
import time

from bench.items import FetchItem, Item, Items, item
from services.kit import Service

_COST_NS = int(os.environ.get("COSTLY_US", "0")) * 1000

service: Service[None] = Service(Items)


@service.answers(Items.fetch)
async def fetch(request: FetchItem) -> Item:
    """Work, and answer."""
    # CPU time and not the clock's: waiting for a core is no work.
    until = time.thread_time_ns() + _COST_NS
    while time.thread_time_ns() < until:
        pass
    return item(request.id)
