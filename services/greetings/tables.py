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
    # The state follows from these two and the time of day: a card opens when it is due, whether
    # or not anything runs then.
    sa.Column("deliver_at", Instant),
    sa.Column("cancelled_at", Instant),
    # Of those with a deliver_at; the others were delivered when they were created.
    sa.Column("delivered_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("views", sa.Integer, nullable=False),
    sa.Index("ix_greetings_token", "token", unique=True),
    sa.Index("ix_greetings_sender_created_at_id", "sender", "created_at", "id"),
    sa.Index("ix_greetings_site_views_id", "site", "views", "id"),
    sa.Index("ix_greetings_views_id", "views", "id"),
    # What waits for its time is a small share of all, and this is read each second.
    sa.Index(
        "ix_greetings_undelivered",
        "deliver_at",
        sqlite_where=sa.text(
            "deliver_at IS NOT NULL AND delivered_at IS NULL AND cancelled_at IS NULL"
        ),
    ),
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
