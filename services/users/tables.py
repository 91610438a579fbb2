"""The tables of users and their contacts."""

from __future__ import annotations

import sqlalchemy as sa

from ..kit.storage import Instant, keys_table

metadata = sa.MetaData()

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    # The address in the one form that equal addresses share; see rules.email_key.
    sa.Column("email_key", sa.Text, nullable=False),
    sa.Column("phone", sa.Text),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Index("ix_users_email_key", "email_key", unique=True),
)

contacts = sa.Table(
    "contacts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column(
        "user_id",
        sa.Text,
        sa.ForeignKey("users.id", name="fk_contacts_user_id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("name", sa.Text, nullable=False),
    # The name without letter case, by which an address book is sorted.
    sa.Column("name_key", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("phone", sa.Text),
    sa.Column("birthday", sa.Date),
    sa.Index("ix_contacts_user_id_name_key_id", "user_id", "name_key", "id"),
)

# That there was such a user, and nothing else of them: it makes a repeated erasure answer as the
# first did, while a mistyped id is told apart from one that is gone.
erased_users = sa.Table(
    "erased_users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("erased_at", Instant, nullable=False),
)

keys = keys_table(metadata)
