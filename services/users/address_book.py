"""Users' contacts in SQL. Each function runs in one transaction that its caller has begun."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clients.users import AddContact, Contact, ContactPage, ListContacts

from ..kit.storage import Key, cut, forget, new_id, once, read_cursor
from .rows import no_user
from .rules import name_key
from .tables import contacts, keys, users

_CONTACT = (
    contacts.c.id,
    contacts.c.user_id,
    contacts.c.name,
    contacts.c.email,
    contacts.c.phone,
    contacts.c.birthday,
)


def _require_user(connection: sa.Connection, user_id: str) -> None:
    if not connection.execute(sa.select(users.c.id).where(users.c.id == user_id)).first():
        raise no_user(user_id)


def contact_values(contact: Contact) -> dict[str, Any]:
    """A contact as a row's values."""
    return {
        "id": contact.id,
        "user_id": contact.user_id,
        "name": contact.name,
        "name_key": name_key(contact.name),
        "email": contact.email,
        "phone": contact.phone,
        "birthday": contact.birthday,
    }


def add(connection: sa.Connection, request: AddContact, key: Key | None, now: datetime) -> Contact:
    """Add a contact to a user, once a key.

    Args:
        connection: of a write.
        request: cleaned by the rules.
        key: of the request.
        now: when it is added.

    Raises:
        Problem: 404 not-found: no such user; those of the key.
    """

    def insert() -> Contact:
        _require_user(connection, request.user_id)
        contact = Contact(
            id=new_id("c"),
            user_id=request.user_id,
            name=request.name,
            email=request.email,
            phone=request.phone,
            birthday=request.birthday,
        )
        connection.execute(contacts.insert().values(contact_values(contact)))
        return contact

    return once(
        connection,
        keys,
        key,
        insert,
        answer=Contact,
        subject=lambda contact: contact.id,
        now=now,
    )


def page(connection: sa.Connection, request: ListContacts) -> ContactPage:
    """Read a page of a user's contacts by name.

    Raises:
        Problem: 404 not-found: no such user; 400 bad-cursor.
    """
    after = read_cursor(request.cursor, tuple[str, str])
    _require_user(connection, request.user_id)
    query = (
        sa.select(*_CONTACT)
        .where(contacts.c.user_id == request.user_id)
        .order_by(contacts.c.name_key, contacts.c.id)
        .limit(request.limit + 1)
    )
    if after is not None:
        query = query.where(sa.tuple_(contacts.c.name_key, contacts.c.id) > sa.tuple_(*after))
    found = [Contact(**row) for row in connection.execute(query).mappings()]
    listed, following = cut(found, request.limit, lambda last: (name_key(last.name), last.id))
    return ContactPage(contacts=listed, next=following)


def remove(connection: sa.Connection, user_id: str, contact_id: str) -> None:
    """Remove a contact and the answers that tell of it; nothing happens when it is gone already.

    Raises:
        Problem: 404 not-found: no such user.
    """
    _require_user(connection, user_id)
    gone = contacts.delete().where(contacts.c.id == contact_id, contacts.c.user_id == user_id)
    if connection.execute(gone).rowcount:
        forget(connection, keys, [contact_id])
