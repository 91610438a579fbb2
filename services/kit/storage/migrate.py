"""Brings a database's schema up to what the code expects, once, however many replicas start.

Alembic's own entry expects a command line, an ini file and an env.py a service. Here its engine
is driven directly: a service has a package with a `versions` folder, and nothing else to keep
right. The whole upgrade is one transaction, so a migration that fails leaves the old schema.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from balancer import MeshError

from .engine import writing

# A migration of some million rows takes seconds; a minute means that its process is stuck.
LOCK_TIMEOUT_S = 60.0
_LOCK_PAUSE_S = 0.05

# `alembic.op`, which migrations use, stands for one upgrade a process.
_one_upgrade = threading.Lock()


class MigrationError(MeshError):
    """The schema cannot be brought up to date; the text says what to do."""


def migrate(
    engine: sa.Engine,
    path: Path,
    migrations: str,
    metadata: sa.MetaData,
    *,
    given_up: threading.Event | None = None,
) -> None:
    """Upgrade to the newest revision. Blocks: run it in a thread.

    Args:
        engine: the engine of the file.
        path: the database file; the lock is a file beside it.
        migrations: the package with the `versions` folder, such as "services.users.migrations".
        metadata: the tables that there must be afterwards.
        given_up: set by whoever waits no more; the wait for another process's migration then ends.

    Raises:
        MigrationError: the database is newer than this code, another process holds the lock, or
            no migration makes one of the tables.
    """
    script = ScriptDirectory(str(files(migrations)))
    known = {revision.revision for revision in script.walk_revisions()}
    lock = _locked(path.with_name(f"{path.name}.lock"), given_up or threading.Event())
    with lock, _one_upgrade, writing(engine) as connection:
        present = MigrationContext.configure(connection).get_current_heads()
        if strange := set(present) - known:
            raise MigrationError(
                f"{path} has schema revision {', '.join(sorted(strange))}, which this version of "
                f"{migrations} does not know: start a version that has it"
            )
        if set(present) != set(script.get_heads()):
            _upgrade(connection, script)
        if missing := set(metadata.tables) - set(sa.inspect(connection).get_table_names()):
            raise MigrationError(
                f"{path} has no table {', '.join(sorted(missing))}: write the migration that "
                f"makes it, in {migrations}"
            )


def _upgrade(connection: sa.Connection, script: ScriptDirectory) -> None:
    def steps(revision: object, _context: object) -> object:
        return script._upgrade_revs("head", revision)  # type: ignore[arg-type]  # noqa: SLF001 - as alembic.command.upgrade does

    with EnvironmentContext(Config(), script, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


@contextmanager
def _locked(path: Path, given_up: threading.Event) -> Iterator[None]:
    """Keep other processes out, by a lock that the kernel drops when its holder dies."""
    with path.open("ab") as file:
        for _ in range(int(LOCK_TIMEOUT_S / _LOCK_PAUSE_S)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if given_up.wait(_LOCK_PAUSE_S):
                    raise MigrationError(f"{path}: nobody waits for it any more") from None
            else:
                break
        else:
            raise MigrationError(
                f"{path} has been locked for {LOCK_TIMEOUT_S:.0f} s by another replica's "
                "migration: see what that one is doing, then start again"
            )
        yield
