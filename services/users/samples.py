"""Fills an empty store with made-up users and their contacts."""

from __future__ import annotations

import sqlalchemy as sa

from clients.users import Contact, User

from ..kit.storage import fill_empty, sample_lines
from .address_book import contact_values
from .rows import user_values
from .tables import contacts, users

_PACKAGE = "services.users"


def load_samples(connection: sa.Connection) -> bool:
    """Insert the sample users and contacts, if there is nobody yet.

    Args:
        connection: of a write.

    Returns:
        Whether they were inserted.
    """
    return fill_empty(
        connection,
        {
            users: map(user_values, sample_lines(_PACKAGE, "users.jsonl", User)),
            contacts: map(contact_values, sample_lines(_PACKAGE, "contacts.jsonl", Contact)),
        },
    )
