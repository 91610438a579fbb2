"""Our typed call: balanced over the replicas, with deadline, retry budget and metrics, decoded and
validated by the contract, on the mesh reactor.
"""

from __future__ import annotations

from typing import Any

from balancer.transport.reactor import install

from ..items import IDS, TYPED, Items
from ..window import Order, Sample
from .deferred_load import run

# As for servers: before anything that looks for a reactor is imported.
_reactor = install()


def call(order: Order) -> Sample:
    """Make typed calls and give the sample of the window."""
    from clients import Mesh

    registry = f"static:items={'|'.join(order.addresses)}"
    mesh = Mesh(registry=registry, caller="bench", reactor=_reactor)
    items = mesh.client(Items)

    def ask(worker: int) -> Any:
        return items.fetch(id=IDS[worker])

    return run(_reactor, order, ask, TYPED)
