"""The records of the sample files: their keys, in the order in which they are written."""

from datetime import date, datetime

import msgspec


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What every record is: frozen, and written with its keys in this order."""


class Product(Shape, frozen=True, kw_only=True):
    """A design that is, or was, on sale."""

    sku: str
    title: str
    description: str
    occasion: str
    category: str
    sites: list[str]
    price_cents: int
    currency: str
    state: str
    updated_at: datetime


class User(Shape, frozen=True, kw_only=True):
    """Somebody with an account on one site."""

    id: str
    version: int
    name: str
    email: str
    phone: str | None
    site: str
    created_at: datetime


class Contact(Shape, frozen=True, kw_only=True):
    """Somebody in a user's address book."""

    id: str
    user_id: str
    name: str
    email: str
    phone: str | None
    birthday: date | None


class Recipient(Shape, frozen=True, kw_only=True):
    """Whom a greeting was sent to, as the address book had them."""

    name: str
    email: str


class Greeting(Shape, frozen=True, kw_only=True):
    """A card that was sent, or that waits for its day."""

    id: str
    token: str
    sender: str
    sender_name: str
    recipients: list[Recipient]
    sku: str
    message: str
    site: str
    deliver_at: datetime | None
    created_at: datetime
    views: int
