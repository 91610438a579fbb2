from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from clients.users import CreateUser, UpdateUser, User
from services.kit import Problem
from services.kit.storage import Key, reading, request_key, writing
from services.users import rows
from services.users.tables import erased_users, users

MakeEngine = Callable[[str], sa.Engine]
ADA = CreateUser(name="Ada", email="Ada@example.com", phone="+12025550123", site="greetwell")
NOBODY = "u_aaaaaaaaaaaaaaaa"


@pytest.fixture
def engine(open_engine: MakeEngine) -> sa.Engine:
    return open_engine("users")


def create(
    engine: sa.Engine, now: datetime, request: CreateUser = ADA, key: str | None = None
) -> User:
    with writing(engine) as connection:
        return rows.create(connection, request, make_key(request, key), now)


def make_key(request: CreateUser, key: str | None) -> Key | None:
    return request_key("users.create", key, request)


def update(engine: sa.Engine, request: UpdateUser) -> User:
    with writing(engine) as connection:
        return rows.update(connection, request)


def fetch(engine: sa.Engine, user_id: str) -> User:
    with reading(engine) as connection:
        return rows.fetch(connection, user_id)


def change(user: User, **changes: str) -> UpdateUser:
    given = {"name": user.name, "email": user.email, "phone": user.phone, **changes}
    return UpdateUser(id=user.id, version=user.version, **given)  # type: ignore[arg-type]


def test_a_created_user_is_fetched_and_found(engine: sa.Engine, now: datetime) -> None:
    user = create(engine, now)
    assert user == fetch(engine, user.id)
    assert (user.version, user.email, user.created_at) == (1, "Ada@example.com", now)
    with reading(engine) as connection:
        assert rows.find(connection, "aDA@EXAMPLE.com") == user


def test_nobody_is_fetched_or_found(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        with pytest.raises(Problem) as fetched:
            rows.fetch(connection, NOBODY)
        with pytest.raises(Problem) as found:
            rows.find(connection, "nobody@example.com")
    assert (fetched.value.status, found.value.status) == (404, 404)
    assert "nobody@" not in found.value.detail


def test_an_address_belongs_to_one(engine: sa.Engine, now: datetime) -> None:
    create(engine, now)
    with pytest.raises(Problem) as caught:
        create(engine, now, CreateUser(name="B", email="ADA@example.com", site="greetwell"))
    assert (caught.value.status, caught.value.type) == (409, "email-taken")
    assert "example.com" not in caught.value.detail


def test_creations_that_race_for_an_address(open_engine: MakeEngine, now: datetime) -> None:
    engines = [open_engine("users"), open_engine("users")]

    def attempt(number: int) -> str:
        try:
            return create(engines[number % 2], now).id
        except Problem as problem:
            return problem.type

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(attempt, range(12)))
    assert outcomes.count("email-taken") == 11


def test_a_repeated_creation_is_the_same_user(engine: sa.Engine, now: datetime) -> None:
    first = create(engine, now, key="k")
    assert create(engine, now + timedelta(minutes=1), key="k") == first


def test_an_update(engine: sa.Engine, now: datetime) -> None:
    user = create(engine, now)
    changed = update(engine, change(user, name="Ada L."))
    assert (changed.name, changed.version) == ("Ada L.", 2)
    assert fetch(engine, user.id) == changed


def test_a_stale_update_loses_nothing(engine: sa.Engine, now: datetime) -> None:
    read = create(engine, now)
    current = update(engine, change(read, name="Ada L."))
    with pytest.raises(Problem) as caught:
        update(engine, change(read, phone="+12025550199"))
    assert (caught.value.status, caught.value.type) == (412, "stale-version")
    assert "version 2" in caught.value.detail
    assert fetch(engine, read.id) == current


def test_updates_that_race(open_engine: MakeEngine, now: datetime) -> None:
    engines = [open_engine("users"), open_engine("users")]
    read = create(engines[0], now)

    def attempt(number: int) -> str:
        try:
            return update(engines[number % 2], change(read, name=f"Ada {number}")).name
        except Problem as problem:
            return problem.type

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(attempt, range(12)))
    assert outcomes.count("stale-version") == 11
    assert fetch(engines[0], read.id).name in outcomes
    assert fetch(engines[0], read.id).version == 2


def test_a_repeated_update_is_answered_as_the_first_time(engine: sa.Engine, now: datetime) -> None:
    request = change(create(engine, now), name="Ada L.")
    first = update(engine, request)
    assert update(engine, request) == first


def test_an_update_of_nobody(engine: sa.Engine) -> None:
    with pytest.raises(Problem) as caught:
        update(engine, UpdateUser(id=NOBODY, version=1, name="A", email="a@example.com"))
    assert caught.value.status == 404


def test_an_update_to_a_taken_address_changes_nothing(engine: sa.Engine, now: datetime) -> None:
    create(engine, now)
    other = create(engine, now, CreateUser(name="Bo", email="bo@example.com", site="greetwell"))
    with pytest.raises(Problem) as caught:
        update(engine, change(other, email="ada@example.com"))
    assert caught.value.type == "email-taken"
    assert fetch(engine, other.id) == other


def test_an_erased_user_is_gone_and_the_address_free(engine: sa.Engine, now: datetime) -> None:
    user = create(engine, now, key="k")
    for _ in range(2):
        with writing(engine) as connection:
            rows.erase(connection, user.id, now)
    with pytest.raises(Problem) as caught:
        fetch(engine, user.id)
    assert caught.value.status == 404
    with pytest.raises(Problem) as retried:
        create(engine, now, key="k")
    assert retried.value.type == "erased"
    assert create(engine, now).id != user.id


def test_erasing_leaves_no_personal_data_in_the_files(
    open_engine: MakeEngine, now: datetime
) -> None:
    engine = open_engine("users")
    user = create(engine, now, key="k")
    with writing(engine) as connection:
        rows.erase(connection, user.id, now)
        assert connection.execute(sa.select(users)).all() == []
        assert connection.execute(sa.select(erased_users.c.id)).scalars().all() == [user.id]
    with engine.connect().execution_options(storage_begin="BEGIN") as connection:
        connection.connection.dbapi_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    database = engine.url.database
    assert database is not None
    with open(database, "rb") as file:  # noqa: PTH123 - the engine knows a text
        content = file.read().lower()
    assert b"ada@example.com" not in content
    assert b"+12025550123" not in content


def test_erasing_nobody(engine: sa.Engine, now: datetime) -> None:
    with pytest.raises(Problem) as caught, writing(engine) as connection:
        rows.erase(connection, NOBODY, now)
    assert caught.value.status == 404
