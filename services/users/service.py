"""The users service: what it answers to each call of its contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from clients.users import (
    AddContact,
    Contact,
    ContactPage,
    CreateUser,
    Erased,
    EraseUser,
    FetchUser,
    FindUser,
    ListContacts,
    RemoveContact,
    UpdateUser,
    User,
    Users,
)

from ..kit import Context, Kit, Service
from ..kit.storage import Storage, open_records, request_key
from ..kit.values import clean_email, clean_name
from . import address_book, rows, rules
from .samples import load_samples
from .tables import keys, metadata


@dataclass(frozen=True)
class Directory:
    """What the handlers work with.

    Attributes:
        storage: the records.
        wall: the time of day, aware.
    """

    storage: Storage
    wall: Callable[[], datetime]


@asynccontextmanager
async def open_directory(kit: Kit) -> AsyncIterator[Directory]:
    """Open the records for as long as the service runs."""
    async with open_records(
        kit,
        "users",
        metadata=metadata,
        migrations="services.users.migrations",
        keys=keys,
        sample=load_samples,
    ) as storage:
        yield Directory(storage, kit.wall)


service = Service(Users, opens=open_directory)


@service.answers(Users.create)
async def create(request: CreateUser, context: Context[Directory]) -> User:
    """Add a user."""
    key = request_key("users.create", context.idempotency_key, request)
    clean = replace(
        request,
        name=clean_name(request.name),
        email=clean_email(request.email),
        phone=rules.clean_phone(request.phone),
    )
    state = context.state
    return await state.storage.write(rows.create, clean, key, state.wall())


@service.answers(Users.fetch)
async def fetch(request: FetchUser, context: Context[Directory]) -> User:
    """Read a user."""
    return await context.state.storage.read(rows.fetch, request.id)


@service.answers(Users.find)
async def find(request: FindUser, context: Context[Directory]) -> User:
    """Look a user up by e-mail address."""
    email = clean_email(request.email)
    return await context.state.storage.read(rows.find, email)


@service.answers(Users.update)
async def update(request: UpdateUser, context: Context[Directory]) -> User:
    """Replace a user's details."""
    clean = replace(
        request,
        name=clean_name(request.name),
        email=clean_email(request.email),
        phone=rules.clean_phone(request.phone),
    )
    return await context.state.storage.write(rows.update, clean)


@service.answers(Users.erase)
async def erase(request: EraseUser, context: Context[Directory]) -> Erased:
    """Forget a user."""
    state = context.state
    await state.storage.write(rows.erase, request.id, state.wall())
    return Erased(id=request.id)


@service.answers(Users.add_contact)
async def add_contact(request: AddContact, context: Context[Directory]) -> Contact:
    """Add a contact to a user's address book."""
    key = request_key("users.add_contact", context.idempotency_key, request)
    state = context.state
    now = state.wall()
    clean = replace(
        request,
        name=clean_name(request.name),
        email=clean_email(request.email),
        phone=rules.clean_phone(request.phone),
        birthday=rules.check_birthday(request.birthday, now.date()),
    )
    return await state.storage.write(address_book.add, clean, key, now)


@service.answers(Users.list_contacts)
async def list_contacts(request: ListContacts, context: Context[Directory]) -> ContactPage:
    """Read a page of a user's contacts."""
    return await context.state.storage.read(address_book.page, request)


@service.answers(Users.remove_contact)
async def remove_contact(request: RemoveContact, context: Context[Directory]) -> Erased:
    """Remove a contact."""
    await context.state.storage.write(address_book.remove, request.user_id, request.id)
    return Erased(id=request.id)
