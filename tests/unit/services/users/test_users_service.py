from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from balancer import Rejected
from clients.users import Users
from services.users import service
from services.users.service import open_directory


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # the library has no types
async def users(bridge: Any, tmp_path: Path) -> AsyncIterator[Users]:
    async with open_directory(bridge.kit(tmp_path)) as state:
        bridge.serve(service, state)
        yield bridge.client(Users)


async def refused(call: Deferred[Any]) -> tuple[int, str]:
    with pytest.raises(Rejected) as caught:
        await call
    return caught.value.status, caught.value.type


async def test_a_users_life(users: Users) -> None:
    user = await users.create(
        name=" Ada  Lovelace", email="Ada@EXAMPLE.com", phone="+1 202-555-0123", site="greetwell"
    )
    assert (user.name, user.email, user.phone) == (
        "Ada Lovelace",
        "Ada@example.com",
        "+12025550123",
    )
    assert await users.fetch(id=user.id) == user
    assert await users.find(email="ada@example.com") == user
    changed = await users.update(id=user.id, version=1, name="Ada King", email=user.email)
    assert (changed.version, changed.phone) == (2, None)
    stale = users.update(id=user.id, version=1, name="A", email=user.email)
    assert await refused(stale) == (412, "stale-version")
    contact = await users.add_contact(
        user_id=user.id, name="Bo", email="bo@example.com", birthday=date(1990, 2, 28)
    )
    assert (await users.list_contacts(user_id=user.id)).contacts == [contact]
    assert (await users.remove_contact(user_id=user.id, id=contact.id)).id == contact.id
    assert (await users.list_contacts(user_id=user.id)).contacts == []
    assert (await users.erase(id=user.id)).id == user.id
    assert (await users.erase(id=user.id)).id == user.id
    assert await refused(users.fetch(id=user.id)) == (404, "not-found")


async def test_a_key_makes_one_user(users: Users) -> None:
    create = users.create.options(idempotency_key="k")
    first = await create(name="Ada", email="ada@example.com", site="greetwell")
    assert await create(name="Ada", email="ada@example.com", site="greetwell") == first
    other = create(name="Bo", email="bo@example.com", site="greetwell")
    assert await refused(other) == (422, "key-reused")


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "},
        {"email": "nobody"},
        {"phone": "12"},
        {"phone": "555-0123"},
        {"site": "Greet Well"},
        {"site": "greetwell\n"},
    ],
)
async def test_what_cannot_be_a_user(users: Users, change: dict[str, str]) -> None:
    fields: Any = {"name": "Ada", "email": "ada@example.com", "site": "greetwell", **change}
    status, _ = await refused(users.create(**fields))
    assert status == 422


async def test_ids_of_another_kind_are_refused(users: Users) -> None:
    for name in ("u_short", "c_aaaaaaaaaaaaaaaa", "u_aaaaaaaaaaaaaaa1", "u_aaaaaaaaaaaaaaaa\n"):
        assert (await refused(users.fetch(id=name)))[0] == 422


async def test_a_birthday_in_the_future(users: Users, bridge: Any) -> None:
    user = await users.create(name="Ada", email="ada@example.com", site="greetwell")
    tomorrow = bridge.wall.date() + timedelta(days=1)
    adding = users.add_contact(
        user_id=user.id, name="Bo", email="bo@example.com", birthday=tomorrow
    )
    assert await refused(adding) == (422, "invalid")


async def test_the_samples_are_served(bridge: Any, tmp_path: Path) -> None:
    for _ in range(2):
        async with open_directory(bridge.kit(tmp_path, sample_data=True)) as state:
            assert (
                await state.storage.read(
                    lambda connection: connection.exec_driver_sql(
                        "SELECT count(*) FROM users"
                    ).scalar_one()
                )
                == 1000
            )
