"""Sample data for an empty store, so that a new checkout has something to show.

Several replicas may start on one new file at the same time. Whether the tables are empty is
asked inside the write that fills them, so exactly one replica does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from itertools import islice
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

T = TypeVar("T")

# Keeps a batch's parameters to a few hundred kilobytes.
_BATCH_ROWS = 500


def sample_lines(package: str, file: str, record: type[T]) -> Iterator[T]:
    """Read a file of a service's `sample` folder, one JSON record a line.

    Args:
        package: the service, such as "services.users".
        file: such as "users.jsonl".
        record: the type of a line.

    Raises:
        ValueError: a line that is no such record; the text names it.
    """
    decoder = msgspec.json.Decoder(record)
    lines = files(package).joinpath("sample", file).read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError as error:
            raise ValueError(f"{package} sample/{file}, line {number}: {error}") from None


def fill_empty(
    connection: sa.Connection, rows: Mapping[sa.Table, Iterable[Mapping[str, Any]]]
) -> bool:
    """Insert rows if all of their tables are empty.

    Args:
        connection: of a write; all of it happens in its transaction.
        rows: by table, tables that others refer to first. An iterable is not begun unless it is
            needed.

    Returns:
        Whether they were inserted.
    """
    for table in rows:
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            return False
    for table, records in rows.items():
        remaining = iter(records)
        while batch := list(islice(remaining, _BATCH_ROWS)):
            connection.execute(table.insert(), batch)
    return True
