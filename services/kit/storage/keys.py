"""Idempotency keys: doing a thing once, however often it is asked.

A caller that lost the answer cannot know whether its request was carried out. It repeats it with
the same key, and gets the first answer again. That holds only if the answer is kept in the same
transaction as the effect, so the functions here run inside a write's transaction.

A key belongs to one operation (its scope), and to one request: the same key with another request
is a mistake in the caller and refused. It does not belong to one caller: when a caller's replica
dies, the request comes again through another one under another name. Nor does anybody see an
answer that was meant for somebody else, since only the very same request is given it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from ..problem import Problem
from .columns import Instant

# Callers retry for seconds, people for minutes, and a queue that was down over night for hours.
KEEP = timedelta(hours=24)
# A few milliseconds of the write lock at a time.
SWEEP_ROWS = 500

T = TypeVar("T")


class Key(NamedTuple):
    """A key as it came with a request.

    Attributes:
        scope: what it is for, such as "users.create".
        key: what the caller sent.
        fingerprint: of the request's content.
    """

    scope: str
    key: str
    fingerprint: str


def request_key(operation: str, key: str | None, request: msgspec.Struct) -> Key | None:
    """Make the key of a request; None when the caller sent none.

    Args:
        operation: the call's name, such as "users.create".
        key: the Idempotency-Key.
        request: what is asked.
    """
    if key is None:
        return None
    fingerprint = hashlib.sha256(msgspec.json.encode(request)).hexdigest()
    return Key(operation, key, fingerprint)


def keys_table(metadata: sa.MetaData) -> sa.Table:
    """Add the table of keys to a service's tables."""
    return sa.Table(
        "idempotency_keys",
        metadata,
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        # Null when what it tells of was erased.
        sa.Column("answer", sa.LargeBinary),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Index("ix_idempotency_keys_subject", "subject"),
        sa.Index("ix_idempotency_keys_created_at", "created_at"),
    )


def stored_answer(
    connection: sa.Connection, table: sa.Table, key: Key, answer: type[T]
) -> T | None:
    """Look for the answer that a key got before.

    Returns:
        The answer; None when the key is new.

    Raises:
        Problem: 422 key-reused: the key came with another request; 410 erased: what the answer
            told of was erased since.
    """
    row = connection.execute(
        sa.select(table.c.fingerprint, table.c.answer).where(
            table.c.scope == key.scope, table.c.key == key.key
        )
    ).one_or_none()
    if row is None:
        return None
    if row.answer is None:
        raise Problem(
            410, "erased", detail="What this Idempotency-Key made was erased. Take a new key."
        )
    if row.fingerprint != key.fingerprint:
        raise Problem(
            422,
            "key-reused",
            detail="This Idempotency-Key came before with another request. "
            "Take a new key for each new request.",
        )
    return msgspec.json.decode(row.answer, type=answer)


def once(
    connection: sa.Connection,
    table: sa.Table,
    key: Key | None,
    effect: Callable[[], T],
    *,
    answer: type[T],
    subject: Callable[[T], str],
    now: datetime,
) -> T:
    """Have an effect unless the key had it before, and keep the answer with it.

    Call it in a write's transaction. An effect that raises keeps nothing, so that the same key
    may be tried again.

    Args:
        connection: of the write.
        table: the service's `keys_table`.
        key: None: no key, the effect is had each time.
        effect: does it, on the same connection, and makes the answer.
        answer: the answer's type.
        subject: the id of what an answer tells of, by which it can be forgotten.
        now: the time that the key's age counts from.

    Returns:
        The effect's answer, now or then.

    Raises:
        Problem: as `stored_answer`.
    """
    if key is None:
        return effect()
    before = stored_answer(connection, table, key, answer)
    if before is not None:
        return before
    made = effect()
    connection.execute(
        table.insert().values(
            scope=key.scope,
            key=key.key,
            fingerprint=key.fingerprint,
            answer=msgspec.json.encode(made),
            subject=subject(made),
            created_at=now,
        )
    )
    return made


def forget(
    connection: sa.Connection, table: sa.Table, subjects: Sequence[str] | sa.Select[tuple[str]]
) -> None:
    """Remove what the answers say of some subjects; their keys stay used.

    Args:
        connection: of the write that erases the subjects.
        table: the service's `keys_table`.
        subjects: their ids, or a query for them.
    """
    connection.execute(
        table.update().where(table.c.subject.in_(subjects)).values(answer=None, fingerprint="")
    )


def sweep(connection: sa.Connection, table: sa.Table, now: datetime) -> bool:
    """Remove one batch of keys that are older than `KEEP`.

    Returns:
        Whether there may be more; then write again, so that others get a turn between.
    """
    old = (
        sa.select(table.c.scope, table.c.key)
        .where(table.c.created_at < now - KEEP)
        .limit(SWEEP_ROWS)
    )
    gone = connection.execute(table.delete().where(sa.tuple_(table.c.scope, table.c.key).in_(old)))
    return gone.rowcount == SWEEP_ROWS
