"""Fills an empty store with made-up greetings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec.structs import asdict

from clients.contract import Message
from clients.fields import Moment, PersonName, Site
from clients.greetings import GreetingId, MessageText, Recipients, Token
from clients.products import Sku
from clients.users import UserId

from ..kit.storage import fill_empty, sample_lines
from .rows import recipient_values
from .tables import greetings, recipients


class SampleGreeting(Message, forbid_unknown_fields=True):
    """A line of sample/greetings.jsonl."""

    id: GreetingId
    token: Token
    sender: UserId
    sender_name: PersonName
    recipients: Recipients
    sku: Sku
    message: MessageText
    site: Site
    deliver_at: Moment | None
    created_at: Moment
    views: int


def _lines() -> Iterator[SampleGreeting]:
    return sample_lines("services.greetings", "greetings.jsonl", SampleGreeting)


def _greeting_rows(now: datetime) -> Iterator[dict[str, Any]]:
    for line in _lines():
        row = asdict(line)
        del row["recipients"]
        due = line.deliver_at is not None and line.deliver_at <= now
        row["delivered_at"] = line.deliver_at if due else None
        yield row


def load_samples(connection: sa.Connection, now: datetime) -> bool:
    """Insert the sample greetings, if there are none yet.

    Args:
        connection: of a write.
        now: those that are due before were delivered when they were due.

    Returns:
        Whether they were inserted.
    """
    people = (row for line in _lines() for row in recipient_values(line.id, line.recipients))
    return fill_empty(connection, {greetings: _greeting_rows(now), recipients: people})
