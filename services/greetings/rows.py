"""Greetings in SQL. Each function runs in one transaction that its caller has begun."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from clients.greetings import (
    Greeting,
    GreetingPage,
    ListSent,
    Recipient,
    SendGreeting,
    Sent,
)

from ..kit import Problem
from ..kit.storage import (
    TOKEN_LETTERS,
    Int64,
    Key,
    cut,
    microseconds,
    new_id,
    once,
    read_cursor,
)
from .rules import state_of
from .tables import greetings, keys, recipients

_GREETING = (
    greetings.c.id,
    greetings.c.sender,
    greetings.c.sku,
    greetings.c.message,
    greetings.c.site,
    greetings.c.deliver_at,
    greetings.c.cancelled_at,
    greetings.c.delivered_at,
    greetings.c.created_at,
    greetings.c.views,
)


def send(
    connection: sa.Connection,
    request: SendGreeting,
    sender_name: str,
    key: Key | None,
    now: datetime,
) -> Sent:
    """Add a greeting, once a key.

    Args:
        connection: of a write.
        request: cleaned by the rules.
        sender_name: shown on the card.
        key: of the request.
        now: when it is accepted.

    Raises:
        Problem: those of the key.
    """

    def insert() -> Sent:
        greeting_id = new_id("g")
        token = new_id("t", TOKEN_LETTERS)
        connection.execute(
            greetings.insert().values(
                id=greeting_id,
                token=token,
                sender=request.sender,
                sender_name=sender_name,
                sku=request.sku,
                message=request.message,
                site=request.site,
                deliver_at=request.deliver_at,
                created_at=now,
                views=0,
            )
        )
        connection.execute(recipients.insert(), recipient_values(greeting_id, request.recipients))
        return Sent(greeting=fetch(connection, greeting_id, now), token=token)

    return once(
        connection,
        keys,
        key,
        insert,
        answer=Sent,
        subject=lambda sent: sent.greeting.id,
        now=now,
    )


def recipient_values(greeting_id: str, people: Sequence[Recipient]) -> list[dict[str, str | int]]:
    """A greeting's recipients as rows' values, in their order."""
    return [
        {"greeting_id": greeting_id, "position": index, "name": who.name, "email": who.email}
        for index, who in enumerate(people)
    ]


def _no_greeting(greeting_id: str) -> Problem:
    return Problem(
        404,
        "not-found",
        detail=f"There is no greeting {greeting_id}. See greetings.list_sent of its sender.",
    )


def fetch(connection: sa.Connection, greeting_id: str, now: datetime) -> Greeting:
    """Read a greeting.

    Raises:
        Problem: 404 not-found.
    """
    query = sa.select(*_GREETING).where(greetings.c.id == greeting_id)
    found = _read(connection, query, now)
    if not found:
        raise _no_greeting(greeting_id)
    return found[0]


def _read(
    connection: sa.Connection, query: sa.Select[*tuple[object, ...]], now: datetime
) -> list[Greeting]:
    found = connection.execute(query).mappings().all()
    people: dict[str, list[Recipient]] = {row["id"]: [] for row in found}
    for row in connection.execute(
        sa.select(recipients)
        .where(recipients.c.greeting_id.in_(people))
        .order_by(recipients.c.greeting_id, recipients.c.position)
    ):
        people[row.greeting_id].append(Recipient(name=row.name, email=row.email))
    return [_greeting(row, people[row["id"]], now) for row in found]


def _greeting(row: sa.RowMapping, people: list[Recipient], now: datetime) -> Greeting:
    values = dict(row)
    if values["deliver_at"] is None:
        values["delivered_at"] = values["created_at"]
    state = state_of(
        values["deliver_at"],
        values.pop("cancelled_at"),
        now,
        delivered_at=values["delivered_at"],
    )
    return Greeting(**values, recipients=people, state=state)


def page(connection: sa.Connection, request: ListSent, now: datetime) -> GreetingPage:
    """Read a page of what a user has sent, the newest first; empty when there is no such user.

    Raises:
        Problem: 400 bad-cursor.
    """
    query = (
        sa.select(*_GREETING)
        .where(greetings.c.sender == request.sender)
        .order_by(greetings.c.created_at.desc(), greetings.c.id.desc())
        .limit(request.limit + 1)
    )
    after = read_cursor(request.cursor, tuple[Int64, str])
    if after is not None:
        position = sa.tuple_(greetings.c.created_at, greetings.c.id)
        # The cursor's own number: a datetime here would be bound as a text, not as an Instant.
        query = query.where(position < sa.tuple_(sa.literal(after[0], sa.BigInteger), after[1]))
    listed, following = cut(
        _read(connection, query, now),
        request.limit,
        lambda last: (microseconds(last.created_at), last.id),
    )
    return GreetingPage(greetings=listed, next=following)


def cancel(connection: sa.Connection, greeting_id: str, key: Key | None, now: datetime) -> Greeting:
    """Cancel a greeting that is not due yet, once a key.

    Args:
        connection: of a write.
        greeting_id: which.
        key: of the request.
        now: decides whether it is due.

    Raises:
        Problem: 404 not-found; 409 not-scheduled: it is sent or cancelled; those of the key.
    """

    def update() -> Greeting:
        changed = connection.execute(
            greetings.update()
            .where(
                greetings.c.id == greeting_id,
                greetings.c.cancelled_at.is_(None),
                greetings.c.deliver_at > now,
                # It may have been delivered by a replica whose clock is a little ahead.
                greetings.c.delivered_at.is_(None),
            )
            .values(cancelled_at=now)
        )
        greeting = fetch(connection, greeting_id, now)
        if not changed.rowcount:
            raise Problem(
                409,
                "not-scheduled",
                detail=f"Greeting {greeting_id} is {greeting.state}; only a scheduled one can be "
                "cancelled.",
                state=greeting.state,
            )
        return greeting

    return once(
        connection,
        keys,
        key,
        update,
        answer=Greeting,
        subject=lambda greeting: greeting.id,
        now=now,
    )
