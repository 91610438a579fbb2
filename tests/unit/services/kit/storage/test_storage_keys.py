from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from services.kit import Problem
from services.kit.storage import (
    Key,
    forget,
    keys_table,
    make_engine,
    once,
    reading,
    request_key,
    stored_answer,
    sweep,
    writing,
)

metadata = sa.MetaData()
keys = keys_table(metadata)
effects = sa.Table("effects", metadata, sa.Column("id", sa.Integer, primary_key=True))


class Ask(msgspec.Struct):
    what: str


class Made(msgspec.Struct):
    id: int
    what: str


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = make_engine(tmp_path / "a.sqlite")
    with writing(engine) as connection:
        metadata.create_all(connection)
    yield engine
    engine.dispose()


def key(value: str | None, what: str = "x", operation: str = "things.make") -> Key | None:
    return request_key(operation, value, Ask(what))


def make(engine: sa.Engine, key: Key | None, now: datetime, what: str = "x") -> Made:
    with writing(engine) as connection:

        def effect() -> Made:
            made = connection.execute(effects.insert()).inserted_primary_key
            assert made is not None
            return Made(made[0], what)

        return once(
            connection,
            keys,
            key,
            effect,
            answer=Made,
            subject=lambda made: str(made.id),
            now=now,
        )


def count(engine: sa.Engine, table: sa.Table) -> int:
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_the_same_key_has_its_effect_once(engine: sa.Engine, now: datetime) -> None:
    first = make(engine, key("k"), now)
    assert make(engine, key("k"), now) == first
    assert count(engine, effects) == 1


def test_without_a_key_each_time(engine: sa.Engine, now: datetime) -> None:
    make(engine, key(None), now)
    make(engine, key(None), now)
    assert (count(engine, effects), count(engine, keys)) == (2, 0)


def test_a_key_with_another_request_is_refused(engine: sa.Engine, now: datetime) -> None:
    make(engine, key("k"), now)
    with pytest.raises(Problem) as caught:
        make(engine, key("k", "y"), now)
    assert (caught.value.status, caught.value.type) == (422, "key-reused")
    assert count(engine, effects) == 1


def test_another_operations_equal_key_is_another(engine: sa.Engine, now: datetime) -> None:
    mend = key("k", operation="things.mend")
    assert make(engine, key("k"), now) != make(engine, mend, now)


def test_a_failed_effect_frees_the_key(engine: sa.Engine, now: datetime) -> None:
    def fail() -> Made:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        once(
            connection,
            keys,
            key("k"),
            fail,
            answer=Made,
            subject=lambda made: str(made.id),
            now=now,
        )
    assert make(engine, key("k"), now).id == 1


def test_retries_that_race_have_one_effect(engine: sa.Engine, now: datetime) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: make(engine, key("k"), now), range(12)))
    assert answers == [answers[0]] * 12
    assert count(engine, effects) == 1


def test_what_was_erased_is_not_answered_again(engine: sa.Engine, now: datetime) -> None:
    made = make(engine, key("k"), now, what="personal")
    with writing(engine) as connection:
        forget(connection, keys, [str(made.id)])
        row = connection.execute(sa.select(keys)).one()
    assert (row.answer, row.fingerprint) == (None, "")
    wanted = key("k")
    assert wanted is not None
    with pytest.raises(Problem) as caught, reading(engine) as connection:
        stored_answer(connection, keys, wanted, Made)
    assert (caught.value.status, caught.value.type) == (410, "erased")


def test_a_new_key_has_no_answer(engine: sa.Engine) -> None:
    wanted = key("k")
    assert wanted is not None
    with reading(engine) as connection:
        assert stored_answer(connection, keys, wanted, Made) is None


def test_keys_older_than_a_day_go_in_batches(
    engine: sa.Engine, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kit.storage.keys.SWEEP_ROWS", 2)
    for number in range(3):
        make(engine, key(f"old {number}"), now - timedelta(hours=25))
    young = make(engine, key("young"), now - timedelta(hours=23))
    rounds: list[bool] = []
    while not rounds or rounds[-1]:
        with writing(engine) as connection:
            rounds.append(sweep(connection, keys, now))
    assert rounds == [True, False]
    assert count(engine, keys) == 1
    assert make(engine, key("young"), now) == young
