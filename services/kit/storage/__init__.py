"""What a service keeps its records with: `Storage`, and the parts that its SQL is made of.

::

    async with open_records(kit, "users", metadata=metadata, migrations=package) as storage:
        user = await storage.read(rows.fetch, "u_mzxw6ytboi2dsmjq")
"""

from .columns import Instant, microseconds, moment
from .engine import make_engine, reading, storage_folder, writing
from .ids import TOKEN_LETTERS, new_id
from .keys import Key, forget, keys_table, once, request_key, stored_answer, sweep
from .migrate import MigrationError, migrate
from .opening import open_records
from .pages import Int64, cut, read_cursor, write_cursor
from .sample import fill_empty, sample_lines
from .storage import Storage

__all__ = [
    "TOKEN_LETTERS",
    "Instant",
    "Int64",
    "Key",
    "MigrationError",
    "Storage",
    "cut",
    "fill_empty",
    "forget",
    "keys_table",
    "make_engine",
    "microseconds",
    "migrate",
    "moment",
    "new_id",
    "once",
    "open_records",
    "read_cursor",
    "reading",
    "request_key",
    "sample_lines",
    "storage_folder",
    "stored_answer",
    "sweep",
    "write_cursor",
    "writing",
]
