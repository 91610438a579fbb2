from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import pytest
import sqlalchemy as sa

from clients.users import AddContact, Contact, ContactPage, CreateUser, ListContacts
from services.kit import Problem
from services.kit.storage import reading, request_key, writing
from services.users import address_book, rows
from services.users.tables import contacts, keys

MakeEngine = Callable[[str], sa.Engine]
NOBODY = "u_aaaaaaaaaaaaaaaa"


@pytest.fixture
def engine(open_engine: MakeEngine) -> sa.Engine:
    return open_engine("users")


@pytest.fixture
def owner(engine: sa.Engine, now: datetime) -> str:
    return new_user(engine, now, "ada@example.com")


def new_user(engine: sa.Engine, now: datetime, email: str) -> str:
    with writing(engine) as connection:
        request = CreateUser(name="Ada", email=email, site="greetwell")
        return rows.create(connection, request, None, now).id


def add(
    engine: sa.Engine, now: datetime, user_id: str, name: str = "Bo", key: str | None = None
) -> Contact:
    request = AddContact(
        user_id=user_id, name=name, email="bo@example.com", birthday=date(1990, 2, 28)
    )
    with writing(engine) as connection:
        return address_book.add(
            connection, request, request_key("users.add_contact", key, request), now
        )


def page(engine: sa.Engine, user_id: str, cursor: str | None = None, limit: int = 3) -> ContactPage:
    with reading(engine) as connection:
        return address_book.page(
            connection, ListContacts(user_id=user_id, cursor=cursor, limit=limit)
        )


def remove(engine: sa.Engine, user_id: str, contact_id: str) -> None:
    with writing(engine) as connection:
        address_book.remove(connection, user_id, contact_id)


def test_an_added_contact_is_listed(engine: sa.Engine, now: datetime, owner: str) -> None:
    contact = add(engine, now, owner)
    assert page(engine, owner) == ContactPage(contacts=[contact], next=None)
    assert contact.birthday == date(1990, 2, 28)


def test_a_repeated_addition_is_the_same_contact(
    engine: sa.Engine, now: datetime, owner: str
) -> None:
    assert add(engine, now, owner, key="k") == add(engine, now, owner, key="k")


def test_pages_have_every_contact_once_by_name(
    engine: sa.Engine, now: datetime, owner: str
) -> None:
    names = ["bo", "Al", "Édouard", "bo", "zoe", "Bo", "al"]
    for name in names:
        add(engine, now, owner, name)
    add(engine, now, new_user(engine, now, "other@example.com"), "somebody else's")
    found: list[Contact] = []
    cursor: str | None = None
    for _ in range(3):
        listed = page(engine, owner, cursor)
        assert len(listed.contacts) <= 3
        found += listed.contacts
        cursor = listed.next
    assert cursor is None
    assert [contact.name.casefold() for contact in found] == sorted(map(str.casefold, names))
    assert len({contact.id for contact in found}) == len(names)


def test_a_page_goes_on_where_its_last_contact_was(
    engine: sa.Engine, now: datetime, owner: str
) -> None:
    for name in "abcdef":
        add(engine, now, owner, name)
    first = page(engine, owner)
    for contact in first.contacts:
        remove(engine, owner, contact.id)
    rest = page(engine, owner, first.next)
    assert [contact.name for contact in rest.contacts] == ["d", "e", "f"]


def test_a_bad_cursor(engine: sa.Engine, owner: str) -> None:
    with pytest.raises(Problem) as caught:
        page(engine, owner, "nonsense")
    assert caught.value.type == "bad-cursor"


def test_removing_is_for_good_and_may_be_repeated(
    engine: sa.Engine, now: datetime, owner: str
) -> None:
    contact = add(engine, now, owner, key="k")
    remove(engine, owner, contact.id)
    remove(engine, owner, contact.id)
    assert page(engine, owner).contacts == []
    with pytest.raises(Problem) as caught:
        add(engine, now, owner, key="k")
    assert caught.value.type == "erased"


def test_nobody_removes_anothers_contact(engine: sa.Engine, now: datetime, owner: str) -> None:
    contact = add(engine, now, owner)
    remove(engine, new_user(engine, now, "other@example.com"), contact.id)
    assert page(engine, owner).contacts == [contact]


def test_contacts_of_nobody(engine: sa.Engine, now: datetime) -> None:
    for attempt in (
        lambda: add(engine, now, NOBODY),
        lambda: page(engine, NOBODY),
        lambda: remove(engine, NOBODY, "c_aaaaaaaaaaaaaaaa"),
    ):
        with pytest.raises(Problem) as caught:
            attempt()
        assert caught.value.status == 404


def test_contacts_go_with_their_user(engine: sa.Engine, now: datetime, owner: str) -> None:
    add(engine, now, owner, key="k")
    with writing(engine) as connection:
        rows.erase(connection, owner, now)
        assert connection.execute(sa.select(contacts)).all() == []
        assert connection.execute(sa.select(keys.c.answer)).scalars().all() == [None]
