"""Products and the sites that sell them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "products",
        sa.Column("sku", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("price_cents", sa.Integer, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
    )
    op.create_table(
        "product_sites",
        sa.Column(
            "sku",
            sa.Text,
            sa.ForeignKey("products.sku", name="fk_product_sites_sku", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("site", sa.Text, primary_key=True),
    )
    op.create_index("ix_product_sites_site_sku", "product_sites", ["site", "sku"])


def downgrade() -> None:
    for table in ("product_sites", "products"):
        op.drop_table(table)
