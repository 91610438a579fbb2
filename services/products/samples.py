"""Fills an empty store with the sample catalogue."""

from __future__ import annotations

import sqlalchemy as sa

from clients.products import Product

from ..kit.storage import fill_empty, sample_lines
from .rows import product_values
from .tables import product_sites, products


def load_samples(connection: sa.Connection) -> bool:
    """Insert the sample products, if there are none yet.

    Args:
        connection: of a write.

    Returns:
        Whether they were inserted.
    """
    catalogue = list(sample_lines("services.products", "products.jsonl", Product))
    sold = ({"sku": item.sku, "site": site} for item in catalogue for site in item.sites)
    return fill_empty(connection, {products: map(product_values, catalogue), product_sites: sold})
