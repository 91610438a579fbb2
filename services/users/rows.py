"""Users in SQL. Each function runs in one transaction that its caller has begun."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clients.users import CreateUser, UpdateUser, User

from ..kit import Problem
from ..kit.storage import Key, forget, new_id, once
from .rules import email_key
from .tables import contacts, erased_users, keys, users

_USER = (
    users.c.id,
    users.c.version,
    users.c.name,
    users.c.email,
    users.c.phone,
    users.c.site,
    users.c.created_at,
)


def no_user(user_id: str) -> Problem:
    """The refusal of an id that no user has."""
    return Problem(
        404,
        "not-found",
        detail=f"There is no user {user_id}. Look the user up with users.find by e-mail.",
    )


def _email_taken() -> Problem:
    return Problem(
        409,
        "email-taken",
        detail="The e-mail address belongs to another user. Look that one up with users.find.",
    )


def create(connection: sa.Connection, request: CreateUser, key: Key | None, now: datetime) -> User:
    """Add a user, once a key.

    Args:
        connection: of a write.
        request: cleaned by the rules.
        key: of the request.
        now: when it is created.

    Raises:
        Problem: 409 email-taken; those of the key.
    """

    def insert() -> User:
        user = User(
            id=new_id("u"),
            version=1,
            name=request.name,
            email=request.email,
            phone=request.phone,
            site=request.site,
            created_at=now,
        )
        try:
            connection.execute(users.insert().values(user_values(user)))
        except sa.exc.IntegrityError:
            raise _email_taken() from None
        return user

    return once(
        connection,
        keys,
        key,
        insert,
        answer=User,
        subject=lambda user: user.id,
        now=now,
    )


def user_values(user: User) -> dict[str, Any]:
    """A user as a row's values."""
    return {
        "id": user.id,
        "version": user.version,
        "name": user.name,
        "email": user.email,
        "email_key": email_key(user.email),
        "phone": user.phone,
        "site": user.site,
        "created_at": user.created_at,
    }


def _one(connection: sa.Connection, where: sa.ColumnElement[bool]) -> User | None:
    row = connection.execute(sa.select(*_USER).where(where)).one_or_none()
    return None if row is None else User(**row._mapping)  # noqa: SLF001 - the row's public mapping


def fetch(connection: sa.Connection, user_id: str) -> User:
    """Read a user.

    Raises:
        Problem: 404 not-found.
    """
    user = _one(connection, users.c.id == user_id)
    if user is None:
        raise no_user(user_id)
    return user


def find(connection: sa.Connection, email: str) -> User:
    """Read the user whose e-mail address it is, in any letter case.

    Raises:
        Problem: 404 not-found, without the address.
    """
    user = _one(connection, users.c.email_key == email_key(email))
    if user is None:
        raise Problem(
            404,
            "not-found",
            detail="No user has this e-mail address. Add one with users.create.",
        )
    return user


def update(connection: sa.Connection, request: UpdateUser) -> User:
    """Replace a user's details if nobody has changed them since they were read.

    The comparison of the version and the change are one statement, so of two updates of the same
    version one is refused. An update that was carried out already, and is asked again because its
    answer was lost, is answered as the first time.

    Args:
        connection: of a write.
        request: cleaned by the rules.

    Raises:
        Problem: 412 stale-version with the current version; 404 not-found; 409 email-taken.
    """
    change = (
        users.update()
        .where(users.c.id == request.id, users.c.version == request.version)
        .values(
            version=users.c.version + 1,
            name=request.name,
            email=request.email,
            email_key=email_key(request.email),
            phone=request.phone,
        )
    )
    try:
        changed = connection.execute(change).rowcount
    except sa.exc.IntegrityError:
        raise _email_taken() from None
    user = fetch(connection, request.id)
    if changed or _is_made(user, request):
        return user
    raise Problem(
        412,
        "stale-version",
        detail=f"The user changed since version {request.version} was read and is now at "
        f"version {user.version}. Nothing was changed. Read the user, apply the change to that, "
        "and update again.",
        version=user.version,
    )


def _is_made(user: User, request: UpdateUser) -> bool:
    return (user.version, user.name, user.email, user.phone) == (
        request.version + 1,
        request.name,
        request.email,
        request.phone,
    )


def erase(connection: sa.Connection, user_id: str, now: datetime) -> None:
    """Remove a user, the contacts, and the answers that tell of either.

    Args:
        connection: of a write.
        user_id: whom.
        now: when.

    Raises:
        Problem: 404 not-found: there never was such a user.
    """
    forget(connection, keys, sa.select(contacts.c.id).where(contacts.c.user_id == user_id))
    forget(connection, keys, [user_id])
    if connection.execute(users.delete().where(users.c.id == user_id)).rowcount:
        connection.execute(erased_users.insert().values(id=user_id, erased_at=now))
    elif not connection.execute(
        sa.select(erased_users.c.id).where(erased_users.c.id == user_id)
    ).first():
        raise no_user(user_id)
