"""Leases in a folder: a registry without a server, for all processes of one machine.

Each replica keeps a file ``SERVICE/REPLICA.TOKEN.json`` under a lock. The kernel drops the lock
when the process dies, however it dies, so a file that can be locked by somebody else is a dead
replica's: no time to live, no heart-beat. A file gets its name only when it is whole and locked, so
a reader never sees half an entry. Readers look ten times a second; a change is seen within 200 ms.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...clock import Clock
from ...errors import RegistryError
from ...values import Endpoint
from ..closed import was_closed
from ..interface import Lease, Listener, Lock
from ..listeners import Listeners
from ..names import check_lock_name, is_name
from .lease import FolderLease, is_dead
from .lock import FolderLock, read_holder, take_lock

# Time between two looks (seconds): half of the promised 200 ms.
LOOK_S = 0.1

# The folder of the locks; no service has such a name.
LOCKS = ".locks"
_log = Logger()


class _Entry:
    """A file that this process reads: kept open, so that a look is one system call."""

    __slots__ = ("descriptor", "endpoint", "inode")

    def __init__(self, descriptor: int, inode: int, endpoint: Endpoint) -> None:
        self.descriptor = descriptor
        self.inode = inode
        self.endpoint = endpoint


class FolderRegistry:
    """See the module."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Use a folder, which need not exist yet.

        Args:
            folder: one for the whole mesh of a machine.
            clock: when to look again.
        """
        self.url = f"file:{folder.absolute()}"
        self._folder = folder
        self._clock = clock
        # By service, so that a look at one costs nothing for the others.
        self._entries: dict[str, dict[Path, _Entry]] = {}
        self._refused: set[tuple[Path, int]] = set()
        self._listeners = Listeners()
        self._leases: dict[FolderLease, None] = {}
        self._locks: dict[FolderLock, None] = {}
        self._unreadable: set[str] = set()
        self._looked_at = clock.seconds()
        self._next_look: IDelayedCall | None = None
        self._closed = False

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Follow a service; the first look is taken at once."""
        end = self._listeners.add(service, listener, lambda: self._unfollowed(service))
        # Those who follow it already have been told; a new one was told what they were.
        self._listeners.tell(service, self._look(service))
        if self._next_look is None:
            self._next_look = self._clock.callLater(LOOK_S, self._look_again)
        return end

    def endpoints(self) -> Deferred[list[Endpoint]]:
        """Look at every service now."""
        return maybeDeferred(self._look_at_all)

    def announce(self, endpoint: Endpoint) -> Lease:
        """Enter a replica until it withdraws or dies.

        Raises:
            RegistryError: a bad name, a living replica of that name, a folder that cannot be
                written, or this was closed.
        """
        if self._closed:
            raise was_closed(self.url)
        if not is_name(endpoint.service) or not is_name(endpoint.replica):
            raise RegistryError(
                f"replica name {endpoint.replica!r}: use letters, digits, '.', '_' and '-'"
            )
        lease = FolderLease(
            self._folder / endpoint.service,
            endpoint,
            self._clock,
            lambda lease: self._leases.pop(lease, None),
        )
        self._leases[lease] = None
        return lease

    def lock(self, name: str, holder: str) -> Deferred[Lock | None]:
        """Take a lock: the kernel's, on a file in a folder of its own."""
        return maybeDeferred(self._lock, name, holder)

    def holder(self, name: str) -> Deferred[str]:
        """Read who has a lock: its file says so."""
        return maybeDeferred(self._holder, name)

    def age_s(self) -> float:
        """Seconds since the last look."""
        return self._clock.seconds() - self._looked_at

    def close(self) -> None:
        """Give up what is held, and look no more."""
        self._closed = True
        for lock in list(self._locks):
            lock.release().addErrback(_without_note)
        for lease in list(self._leases):
            lease.withdraw()
        self._listeners.clear()
        self._rest()
        for service in list(self._entries):
            self._forget_all(service)

    def _lock(self, name: str, holder: str) -> Lock | None:
        lock = take_lock(
            self._lock_file(name),
            holder,
            self._clock,
            lambda lock: self._locks.pop(lock, None),
        )
        if lock is not None:
            self._locks[lock] = None
        return lock

    def _holder(self, name: str) -> str:
        return read_holder(self._lock_file(name))

    def _lock_file(self, name: str) -> Path:
        check_lock_name(name)
        if self._closed:
            raise was_closed(self.url)
        return self._folder / LOCKS / name

    def _unfollowed(self, service: str) -> None:
        self._forget_all(service)
        if not self._listeners.services():
            self._rest()

    def _rest(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None

    def _look_at_all(self) -> list[Endpoint]:
        try:
            services = sorted(path.name for path in self._folder.iterdir() if path.is_dir())
        except OSError:
            return []
        return [endpoint for service in services for endpoint in self._look(service)]

    def _look_again(self) -> None:
        self._next_look = self._clock.callLater(LOOK_S, self._look_again)
        for service in self._listeners.services():
            self._listeners.tell(service, self._look(service))

    def _look(self, service: str) -> list[Endpoint]:
        """The living replicas of one service, by name."""
        if not is_name(service):
            return []  # it may come out of a URL, and must not lead out of the folder
        folder = self._folder / service
        entries = self._entries.setdefault(service, {})
        seen: set[Path] = set()
        try:
            with os.scandir(folder) as scan:
                for item in scan:
                    named = item.name.endswith(".json") and not item.name.startswith(".")
                    if named and item.is_file():
                        path = folder / item.name
                        if self._is_living(entries, path, item.inode()):
                            seen.add(path)
        except FileNotFoundError:
            # Nobody was ever announced, or the folder was deleted under those who live: a lease is
            # the lock, and those that are open here can still be asked.
            seen.update(path for path in entries if not is_dead(entries[path].descriptor))
        except OSError as error:
            # What was known last is still the best guess: stale beats down.
            if service not in self._unreadable:
                self._unreadable.add(service)
                _log.warn(
                    "the registry folder {folder} cannot be read, the replicas known last stay: "
                    "{error}",
                    folder=folder,
                    error=error,
                )
            return [entries[path].endpoint for path in sorted(entries)]
        self._unreadable.discard(service)
        self._refused = {entry for entry in self._refused if entry[0].exists()}
        self._looked_at = self._clock.seconds()
        for path in [path for path in entries if path not in seen]:
            _forget(entries, path)
        return [entries[path].endpoint for path in sorted(seen)]

    def _is_living(self, entries: dict[Path, _Entry], path: Path, inode: int) -> bool:
        entry = entries.get(path)
        if entry is None or entry.inode != inode:
            _forget(entries, path)
            entry = self._open(path, inode)
            if entry is None:
                return False
            entries[path] = entry
        if not is_dead(entry.descriptor):
            return True
        _forget(entries, path)
        with suppress(OSError):  # somebody else cleared it away, or the folder is not ours to clean
            path.unlink()
        return False

    def _open(self, path: Path, inode: int) -> _Entry | None:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        try:
            endpoint = msgspec.json.decode(os.pread(descriptor, 65_536, 0), type=Endpoint)
            if endpoint.service != path.parent.name:
                raise ValueError(f"it is an entry of {endpoint.service}")  # noqa: TRY301
        except (
            OSError,
            ValueError,
            RecursionError,
        ) as error:  # what msgspec raises is a ValueError
            os.close(descriptor)
            if (path, inode) not in self._refused:
                self._refused.add((path, inode))
                _log.warn(
                    "{path} is no replica's entry and is ignored: {error}", path=path, error=error
                )
            return None
        return _Entry(descriptor, inode, endpoint)

    def _forget_all(self, service: str) -> None:
        entries = self._entries.pop(service, {})
        for path in list(entries):
            _forget(entries, path)


def _without_note(failure: Failure) -> None:
    """It is given back all the same, and nobody waits to be told."""
    failure.trap(RegistryError)


def _forget(entries: dict[Path, _Entry], path: Path) -> None:
    entry = entries.pop(path, None)
    if entry is not None:
        os.close(entry.descriptor)
