"""What every peer is asked and answers: one item by id, about 200 bytes of JSON.

Callers ask for 32 different ids, one a worker, so no peer can answer from a cache of one entry and
each answer can be told from another worker's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from clients.contract import Call, Contract, Message

# How many calls are in flight at once: more than a Python process can use, less than a queue.
IN_FLIGHT = 32
PATTERN = r"^i_[a-z2-7]{16}$"

ItemId = Annotated[str, msgspec.Meta(pattern=PATTERN + r"(?!\n)", description="An item's id.")]


class Item(Message):
    """Something with the fields of a usual record."""

    id: ItemId
    version: int
    name: str
    email: str
    phone: str | None
    site: str
    created_at: datetime


class FetchItem(Message):
    """An item by id."""

    id: ItemId


class Items(Contract, name="items"):
    """The benchmark's service."""

    fetch = Call(FetchItem, Item, get="/v1/items/{id}", deadline_s=1.0, summary="Read an item.")


IDS = tuple(f"i_{letter * 16}" for letter in "abcdefghijklmnopqrstuvwxyz234567"[:IN_FLIGHT])
CREATED_AT = datetime(2026, 11, 20, 11, 9, 48, tzinfo=UTC)


def item(item_id: str) -> Item:
    """The item of an id; every peer makes it anew for each request."""
    return Item(
        id=item_id,
        version=7,
        name="Ada Lovelace",
        email="ada.lovelace@example.com",
        phone="+12025550123",
        site="greetings.example.com",
        created_at=CREATED_AT,
    )


encode = msgspec.json.Encoder().encode
# What the worker of each index must be answered: typed, and as JSON values.
TYPED = tuple(item(item_id) for item_id in IDS)
PLAIN: tuple[dict[str, Any], ...] = tuple(msgspec.json.decode(encode(one)) for one in TYPED)
