"""The tables of greetings and their recipients."""

from __future__ import annotations

import sqlalchemy as sa

from ..kit.storage import Instant, keys_table

metadata = sa.MetaData()

greetings = sa.Table(
    "greetings",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    # As it was when the greeting was sent: opening a card then asks no other service.
    sa.Column("sender_name", sa.Text, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("site", sa.Text, nullable=False),
    # The state follows from these two and the time of day, so nothing has to run when one is due.
    sa.Column("deliver_at", Instant),
    sa.Column("cancelled_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("views", sa.Integer, nullable=False),
    sa.Index("ix_greetings_token", "token", unique=True),
    sa.Index("ix_greetings_sender_created_at_id", "sender", "created_at", "id"),
    sa.Index("ix_greetings_site_views_id", "site", "views", "id"),
    sa.Index("ix_greetings_views_id", "views", "id"),
)

recipients = sa.Table(
    "recipients",
    metadata,
    sa.Column(
        "greeting_id",
        sa.Text,
        sa.ForeignKey("greetings.id", name="fk_recipients_greeting_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
)

keys = keys_table(metadata)
