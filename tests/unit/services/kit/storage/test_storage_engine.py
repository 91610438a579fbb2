from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from balancer import ConfigError
from services.kit.storage import make_engine, reading, storage_folder, writing

metadata = sa.MetaData()
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)


def open_counters(path: Path) -> sa.Engine:
    engine = make_engine(path)
    with writing(engine) as connection:
        metadata.create_all(connection)
        if not connection.execute(sa.select(counters)).first():
            connection.execute(counters.insert().values(name="a", value=0))
    return engine


def value(engine: sa.Engine) -> int:
    with reading(engine) as connection:
        found: int = connection.execute(sa.select(counters.c.value)).scalar_one()
    return found


def increment(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        before = connection.execute(sa.select(counters.c.value)).scalar_one()
        connection.execute(counters.update().values(value=before + 1))


def test_pragmas(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "a.sqlite")
    with reading(engine) as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "busy_timeout",
                "secure_delete",
            )
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "secure_delete": 1,
    }
    engine.dispose()


def test_no_update_is_lost_between_two_replicas(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    replicas = [open_counters(path), open_counters(path)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(increment, replicas * 40))
    assert value(replicas[0]) == 80
    for engine in replicas:
        engine.dispose()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    engine = open_counters(tmp_path / "a.sqlite")

    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(counters.update().values(value=7))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert value(engine) == 0
    engine.dispose()


def test_a_read_sees_one_state(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    engine = open_counters(path)
    other = open_counters(path)
    query = sa.select(counters.c.value)
    with reading(engine) as connection:
        assert connection.execute(query).scalar_one() == 0
        increment(other)
        assert connection.execute(query).scalar_one() == 0
    assert value(engine) == 1
    engine.dispose()
    other.dispose()


def test_reads_do_not_wait_for_a_write(tmp_path: Path) -> None:
    engine = open_counters(tmp_path / "a.sqlite")
    with writing(engine) as connection, ThreadPoolExecutor(1) as thread:
        connection.execute(counters.update().values(value=7))
        assert thread.submit(value, engine).result(timeout=5) == 0
    assert value(engine) == 7
    engine.dispose()


def test_errors_do_not_show_values(tmp_path: Path) -> None:
    engine = open_counters(tmp_path / "a.sqlite")
    with pytest.raises(sa.exc.IntegrityError) as caught, writing(engine) as connection:
        connection.execute(counters.insert().values(name="a", value=424242))
    assert "424242" not in str(caught.value)
    engine.dispose()


def test_a_connection_goes_from_thread_to_thread(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "a.sqlite", connections=1)
    metadata.create_all(engine.execution_options(storage_begin="BEGIN"))
    for _ in range(2):
        thread = threading.Thread(target=lambda: engine.connect().close())
        thread.start()
        thread.join()
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite:/var/lib/txmesh", "sqlite:///var/lib/txmesh"])
def test_storage_url(url: str) -> None:
    assert storage_folder(url) == Path("/var/lib/txmesh")


@pytest.mark.parametrize("url", ["postgresql://db/x", "sqlite", "sqlite:", "/var/lib/txmesh", ""])
def test_an_url_of_something_else_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:FOLDER"):
        storage_folder(url)
