"""A card as it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCard:
    """The part of a greeting that its card is made of.

    Attributes:
        id: the greeting's.
        message: what the sender wrote.
        sender_name: as it was when the greeting was sent.
        sku: the product.
        site: where it was sent from.
        deliver_at: when it is due; None: at once.
        cancelled_at: when it was cancelled; None: it was not.
        created_at: when it was accepted.
    """

    id: str
    message: str
    sender_name: str
    sku: str
    site: str
    deliver_at: datetime | None
    cancelled_at: datetime | None
    created_at: datetime
