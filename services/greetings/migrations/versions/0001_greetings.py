"""Greetings, their recipients, and the keys of what was asked."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "greetings",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("sender_name", sa.Text, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("deliver_at", sa.BigInteger),
        sa.Column("cancelled_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("views", sa.Integer, nullable=False),
    )
    op.create_index("ix_greetings_token", "greetings", ["token"], unique=True)
    op.create_index(
        "ix_greetings_sender_created_at_id", "greetings", ["sender", "created_at", "id"]
    )
    op.create_index("ix_greetings_site_views_id", "greetings", ["site", "views", "id"])
    op.create_index("ix_greetings_views_id", "greetings", ["views", "id"])
    op.create_table(
        "recipients",
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
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_idempotency_keys_subject", "idempotency_keys", ["subject"])
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    for table in ("idempotency_keys", "recipients", "greetings"):
        op.drop_table(table)
