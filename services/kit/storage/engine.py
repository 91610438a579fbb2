"""A SQLite file as records need it: concurrent, durable enough, and never losing an update.

SQLite's and Python's defaults suit one process that writes alone. With several replicas on one
file they lose updates silently: 60 of 80 concurrent ones when it was tried, because Python opens
a transaction only at the first write, after the value that is being changed was read. So here
each transaction is begun by hand: `BEGIN` gives a read one snapshot, and `BEGIN IMMEDIATE` takes
the write lock before anything is read.

The defaults, and why:

- WAL: readers and the writer do not wait for each other.
- busy_timeout 5 s: writers of other replicas hold the lock for milliseconds; 5 s without it means
  something is stuck, and no caller waits longer anyway.
- synchronous NORMAL: with WAL a crash of the process loses nothing, a power cut may lose the last
  commits but never corrupts; FULL costs an fsync a commit.
- foreign_keys on: SQLite leaves references unchecked otherwise.
- secure_delete on: erased personal data is overwritten in the file, not just unlinked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from balancer import ConfigError

BUSY_TIMEOUT_S = 5.0

_BEGIN = "storage_begin"


def storage_folder(url: str) -> Path:
    """Read the storage's URL of the configuration.

    Args:
        url: ``sqlite:FOLDER``; in the folder each service has a file of its own.

    Raises:
        ConfigError: another scheme, or no folder.
    """
    scheme, separator, folder = url.partition(":")
    if not separator or scheme != "sqlite":
        raise ConfigError(
            f"storage {url!r}: only sqlite:FOLDER is known, such as sqlite:/var/lib/txmesh"
        )
    # sqlite:///var/lib is how other tools write it; the folder is the same.
    folder = folder.removeprefix("//")
    if not folder:
        raise ConfigError(f"storage {url!r} names no folder; write sqlite:FOLDER")
    return Path(folder)


def make_engine(path: Path, *, connections: int = 4) -> sa.Engine:
    """Make the engine of one file; nothing is opened until its first transaction.

    Args:
        path: the database file; its folder must exist.
        connections: the most at a time; as many as there are threads that use it.
    """
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={
            "isolation_level": None,
            "timeout": BUSY_TIMEOUT_S,
            # A connection is used by one thread at a time, but not always by the same.
            "check_same_thread": False,
        },
        poolclass=sa.QueuePool,
        pool_size=connections,
        max_overflow=0,
        # An error's text goes to the log, and parameters are personal data.
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()[_BEGIN])


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that sees one state of the records, whatever is written meanwhile."""
    with _transaction(engine, "BEGIN") as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that nobody else writes beside; undone when it raises."""
    with _transaction(engine, "BEGIN IMMEDIATE") as connection:
        yield connection


@contextmanager
def _transaction(engine: sa.Engine, begin: str) -> Iterator[sa.Connection]:
    with engine.connect().execution_options(**{_BEGIN: begin}) as connection, connection.begin():
        yield connection
