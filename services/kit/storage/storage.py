"""A service's records: SQL in threads of their own, one transaction a job.

A query blocks its thread, so it may not run on the reactor's; see `threads` for where it does.

Reads run side by side. Writes take turns before they enter a thread: SQLite lets one write at a
time anyway, and writers that wait for its lock *in* threads would leave none for the reads.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import sqlalchemy as sa
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorFromThreads

from balancer import ConfigError

from ..logs import kind_of
from ..problem import Problem
from .engine import BUSY_TIMEOUT_S, make_engine, reading, writing
from .migrate import migrate
from .threads import Threads, stopping

Arguments = ParamSpec("Arguments")
T = TypeVar("T")

# One write at a time and three reads: more threads than that only take turns at the interpreter's
# lock, since a query by key is mostly Python.
THREADS = 4

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Storage:
    """The records of one service; open it before use and close it after.

    ::

        storage = Storage(file, metadata=metadata, migrations=package, seconds=clock.seconds)
        async with storage:
            user = await storage.read(rows.fetch, user_id)
    """

    def __init__(
        self,
        path: Path,
        *,
        metadata: sa.MetaData,
        migrations: str,
        seconds: Callable[[], float],
        name: str = "records",
        reactor: IReactorFromThreads | None = None,
        deadline: Callable[[], float | None] = lambda: None,
        threads: int = THREADS,
    ) -> None:
        """Prepare; no file is touched before `open`.

        Args:
            path: the file.
            metadata: the tables.
            migrations: the package whose `versions` make these tables.
            seconds: the monotonic clock of the deadlines.
            name: names the threads, for whoever looks at a stack dump.
            reactor: takes the results back from the threads; the global one by default.
            deadline: the deadline of the call being handled, on that clock; None: there is none.
            threads: how many; see `THREADS`.
        """
        self.path = path
        self._metadata = metadata
        self._migrations = migrations
        self._engine = make_engine(path, connections=threads)
        self._threads = Threads(
            name=f"storage-{name}",
            size=threads,
            seconds=seconds,
            deadline=deadline,
            reactor=reactor,
        )
        self._write_turn = DeferredLock()

    async def open(self) -> None:
        """Make the folder and the file, start the threads, and bring the schema up to date.

        Raises:
            MigrationError: the schema cannot be brought up to date.
            ConfigError: the folder cannot be made or written, or the file is no database.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Records are personal data: nobody else on the machine reads them, or SQLite's files
            # beside this one, which take its mode.
            self.path.touch(mode=0o600)
        except OSError as error:
            raise ConfigError(
                f"storage {self.path}: cannot be written ({error.strerror}); "
                "give another folder with [storage] url"
            ) from None
        self._threads.start()
        given_up = threading.Event()
        try:
            await self._threads.run(
                lambda: migrate(
                    self._engine, self.path, self._migrations, self._metadata, given_up=given_up
                )
            )
        except sa.exc.DatabaseError as error:
            await self.close()
            raise ConfigError(
                f"storage {self.path}: cannot be used as a database ({kind_of(error)}); "
                "make room, or move the file away and put a backup in its place"
            ) from None
        except BaseException:
            given_up.set()
            await self.close()
            raise

    async def close(self) -> None:
        """Let the jobs that run come to their end, then close the file and stop the threads.

        Writes that wait for their turn are refused.
        """
        self._threads.refuse()
        # All from here: when each refuses at its turn and passes that on, it is inside the one
        # before, and Python's stack is too small for a long queue.
        waiting, self._write_turn.waiting = self._write_turn.waiting, []
        for turn in waiting:
            turn.errback(stopping())
        await self._threads.stop()
        self._engine.dispose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def read(
        self,
        job: Callable[Concatenate[sa.Connection, Arguments], T],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> T:
        """Run a job on one state of the records, in a thread and with the caller's context.

        Args:
            job: gets a connection and the other arguments.
            *args: for the job.
            **kwargs: for the job.

        Returns:
            What the job returns.

        Raises:
            Problem: 504 when it had no turn before the call's deadline; what the job raises.
        """
        return await self._threads.run(lambda: self._transact(reading, job, *args, **kwargs))

    async def write(
        self,
        job: Callable[Concatenate[sa.Connection, Arguments], T],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> T:
        """Run a job that changes records; all of it is kept, or nothing when it raises.

        Args:
            job: gets a connection and the other arguments. No other writer, of this replica or
                another, comes between what it reads and what it writes.
            *args: for the job.
            **kwargs: for the job.

        Returns:
            What the job returns.

        Raises:
            Problem: 504 as in `read`; 503 when another replica kept the lock for too long, or when
                the storage is closed before its turn.
        """
        if self._threads.refuses:
            raise stopping()
        await self._write_turn.acquire()
        # The turn lasts as long as the thread: a caller that leaves meanwhile does not let the next
        # writer in, who would wait for the lock in one more thread.
        return await self._threads.run(
            lambda: self._transact(writing, job, *args, **kwargs),
            ended=self._write_turn.release,
        )

    def _transact(
        self,
        begin: Callable[[sa.Engine], AbstractContextManager[sa.Connection]],
        job: Callable[Concatenate[sa.Connection, Arguments], T],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> T:
        try:
            with begin(self._engine) as connection:
                return job(connection, *args, **kwargs)
        except sa.exc.OperationalError as error:
            # Extended codes carry the plain one in their low byte.
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in _BUSY:
                raise
            raise Problem(
                503,
                "storage-busy",
                detail=f"Another writer kept the records for {BUSY_TIMEOUT_S:.0f} s; nothing was "
                "changed. Try again.",
            ) from error
