"""The users service's contract: people who send greetings, and the people they know.

::

    users = mesh.client(Users)
    user = await users.find(email="ada@example.com")
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta

from .contract import Call, Contract, Message, Smoke
from .fields import Cursor, Email, Limit, Moment, PersonName, Site

UserId = Annotated[
    str,
    Meta(
        pattern=r"^u_[a-z2-7]{16}$(?!\n)",
        description="A user's id.",
        examples=["u_mzxw6ytboi2dsmjq"],
    ),
]
ContactId = Annotated[
    str,
    Meta(
        pattern=r"^c_[a-z2-7]{16}$(?!\n)",
        description="A contact's id.",
        examples=["c_mzxw6ytboi2dsmjq"],
    ),
]
Phone = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=40,
        description="A phone number with its country: +, country code, number. Kept as E.164.",
        examples=["+12025550123"],
    ),
]
Version = Annotated[
    int,
    Meta(ge=1, le=2**62, description="Goes up by one with each update; send back the one read."),
]


class User(Message):
    """Somebody who sends greetings."""

    id: UserId
    version: Version
    name: PersonName
    email: Email
    phone: Phone | None
    site: Site
    created_at: Moment


class Contact(Message):
    """Somebody whom a user knows and sends greetings to."""

    id: ContactId
    user_id: UserId
    name: PersonName
    email: Email
    phone: Phone | None
    birthday: date | None


class ContactPage(Message):
    """Some of a user's contacts, by name."""

    contacts: list[Contact]
    next: Annotated[str, Meta(description="The cursor of the page after; null at the end.")] | None


class Erased(Message):
    """What was named is gone."""

    id: Annotated[str, Meta(description="The id of what is gone.")]


class CreateUser(Message):
    """A new user."""

    name: PersonName
    email: Email
    phone: Phone | None = None
    site: Site


class FetchUser(Message):
    """A user by id."""

    id: UserId


class FindUser(Message):
    """A user by e-mail address, in any letter case."""

    email: Email


class UpdateUser(Message):
    """All of a user that can change, and the version that the change was made on."""

    id: UserId
    version: Version
    name: PersonName
    email: Email
    phone: Phone | None = None


class EraseUser(Message):
    """A user who is to be forgotten."""

    id: UserId


class AddContact(Message):
    """A new contact of a user."""

    user_id: UserId
    name: PersonName
    email: Email
    phone: Phone | None = None
    birthday: date | None = None


class ListContacts(Message):
    """One page of a user's contacts."""

    user_id: UserId
    cursor: Cursor | None = None
    limit: Limit = 50


class RemoveContact(Message):
    """A contact that is to go."""

    user_id: UserId
    id: ContactId


class Users(Contract, name="users"):
    """People who send greetings, and their address books.

    E-mail addresses are unique whatever their letter case. Updates carry the version that was
    read: a change made meanwhile by somebody else is refused as `stale-version`, never lost.
    """

    create = Call(
        CreateUser,
        User,
        post="/v1/users",
        keyed=True,
        status=201,
        deadline_s=2.0,
        summary="Add a user; 409 email-taken when the address belongs to one already.",
    )
    fetch = Call(
        FetchUser,
        User,
        get="/v1/users/{id}",
        deadline_s=0.5,
        priority=0,
        # Nobody has this id: it is looked for in the storage, and that is what is to work.
        smoke=Smoke(FetchUser(id="u_2222222222222222"), status=404, type="not-found"),
        summary="Read a user.",
    )
    find = Call(
        FindUser, User, get="/v1/users", deadline_s=0.5, summary="Look a user up by e-mail address."
    )
    # Idempotent although it counts a version: repeating an update that was made already is
    # recognised and answered as the first time.
    update = Call(
        UpdateUser,
        User,
        put="/v1/users/{id}",
        idempotent=True,
        deadline_s=2.0,
        summary="Replace a user's details; 412 stale-version when they changed since being read.",
    )
    erase = Call(
        EraseUser,
        Erased,
        delete="/v1/users/{id}",
        idempotent=True,
        deadline_s=2.0,
        summary="Remove a user's personal data and contacts, for good.",
    )
    add_contact = Call(
        AddContact,
        Contact,
        post="/v1/users/{user_id}/contacts",
        keyed=True,
        status=201,
        deadline_s=2.0,
        summary="Add a contact to a user's address book.",
    )
    list_contacts = Call(
        ListContacts,
        ContactPage,
        get="/v1/users/{user_id}/contacts",
        summary="Read a user's contacts by name, a page at a time.",
    )
    remove_contact = Call(
        RemoveContact,
        Erased,
        delete="/v1/users/{user_id}/contacts/{id}",
        idempotent=True,
        deadline_s=2.0,
        summary="Remove a contact; the same answer when it is gone already.",
    )
