"""The delivery of greetings whose time has come, in SQL.

Each function runs in one transaction that its caller has begun.

A greeting is delivered once: in the transaction that finds it undelivered, whoever runs it and
however often. So it does no harm that a job which died is run again. What delivery does is to
record it; no mail is sent. The card itself opens by the time of day, from the moment that it is
due, so that it does so too while no delivery can run.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from .tables import greetings

# At a holiday a hundred thousand are due in one minute. This many are some milliseconds of the
# write lock, after which others have their turn.
BATCH_ROWS = 500


def _due(now: datetime) -> sa.Select[tuple[str]]:
    # The same words as the index has, or SQLite does not use it.
    return sa.select(greetings.c.id).where(
        greetings.c.deliver_at.is_not(None),
        greetings.c.delivered_at.is_(None),
        greetings.c.cancelled_at.is_(None),
        greetings.c.deliver_at <= now,
    )


def any_due(connection: sa.Connection, now: datetime) -> bool:
    """Whether there is something to deliver; asked first, because a read holds nobody up."""
    return connection.execute(_due(now).limit(1)).first() is not None


def deliver(connection: sa.Connection, now: datetime) -> int:
    """Deliver a batch of the greetings that are due, those that are due longest first.

    Args:
        connection: of a write.
        now: decides which are due, and is when they are delivered.

    Returns:
        How many; with `BATCH_ROWS` there may be more.
    """
    batch = _due(now).order_by(greetings.c.deliver_at).limit(BATCH_ROWS)
    return connection.execute(
        greetings.update().where(greetings.c.id.in_(batch)).values(delivered_at=now)
    ).rowcount
