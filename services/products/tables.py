"""The tables of products and of the sites that sell them."""

from __future__ import annotations

import sqlalchemy as sa

from ..kit.storage import Instant

metadata = sa.MetaData()

products = sa.Table(
    "products",
    metadata,
    sa.Column("sku", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("price_cents", sa.Integer, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    # All that a search by text looks at, folded; see rules.fold.
    sa.Column("search_text", sa.Text, nullable=False),
)

product_sites = sa.Table(
    "product_sites",
    metadata,
    sa.Column(
        "sku",
        sa.Text,
        sa.ForeignKey("products.sku", name="fk_product_sites_sku", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("site", sa.Text, primary_key=True),
    sa.Index("ix_product_sites_site_sku", "site", "sku"),
)
