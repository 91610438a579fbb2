"""When scheduled greetings were delivered, and an index of those that are to be."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # May be null, so that replicas of the version before, which know nothing of it, go on writing.
    op.add_column("greetings", sa.Column("delivered_at", sa.BigInteger))
    # Until now a greeting was delivered by being due, so those that are due already were then.
    op.execute(
        "UPDATE greetings SET delivered_at = deliver_at WHERE cancelled_at IS NULL"
        " AND deliver_at <= CAST(strftime('%s', 'now') AS INTEGER) * 1000000"
    )
    op.create_index(
        "ix_greetings_undelivered",
        "greetings",
        ["deliver_at"],
        sqlite_where=sa.text(
            "deliver_at IS NOT NULL AND delivered_at IS NULL AND cancelled_at IS NULL"
        ),
    )


def downgrade() -> None:
    op.drop_index("ix_greetings_undelivered")
    op.drop_column("greetings", "delivered_at")
