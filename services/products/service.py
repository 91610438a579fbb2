"""The products service: what it answers to each call of its contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from clients.products import (
    FetchProduct,
    Product,
    ProductPage,
    Products,
    PublishProduct,
    RetireProduct,
    SearchProducts,
)

from ..kit import Context, Kit, Service
from ..kit.storage import Storage, open_records
from . import rows, rules
from .samples import load_samples
from .tables import metadata


@dataclass(frozen=True)
class Catalogue:
    """What the handlers work with.

    Attributes:
        storage: the records.
        wall: the time of day, aware.
    """

    storage: Storage
    wall: Callable[[], datetime]


@asynccontextmanager
async def open_catalogue(kit: Kit) -> AsyncIterator[Catalogue]:
    """Open the records for as long as the service runs."""
    async with open_records(
        kit,
        "products",
        metadata=metadata,
        migrations="services.products.migrations",
        sample=load_samples,
    ) as storage:
        yield Catalogue(storage, kit.wall)


service = Service(Products, opens=open_catalogue)


@service.answers(Products.fetch)
async def fetch(request: FetchProduct, context: Context[Catalogue]) -> Product:
    """Read a product."""
    return await context.state.storage.read(rows.fetch, request.sku)


@service.answers(Products.search)
async def search(request: SearchProducts, context: Context[Catalogue]) -> ProductPage:
    """Find published products."""
    return await context.state.storage.read(rows.search, request)


@service.answers(Products.publish)
async def publish(request: PublishProduct, context: Context[Catalogue]) -> Product:
    """Create or replace a product."""
    state = context.state
    return await state.storage.write(rows.publish, rules.clean(request), state.wall())


@service.answers(Products.retire)
async def retire(request: RetireProduct, context: Context[Catalogue]) -> Product:
    """Take a product out of the shops."""
    state = context.state
    return await state.storage.write(rows.retire, request.sku, state.wall())
