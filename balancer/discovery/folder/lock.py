"""A lock in a folder: the kernel's, on a file, gone with the process that held it.

The file stays when the lock is given back: in it is the note that the last holder left. Who waits
for a lock asks again; the kernel gives it to one of those who ask.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred, succeed

from ...clock import Clock
from ...errors import RegistryError

# How often a holder looks whether its file is still the one that others would lock (seconds).
KEEP_S = 1.0


class _Content(msgspec.Struct, frozen=True):
    """What the file says, for people and for the next holder."""

    holder: str = ""
    note: str = ""


def take_lock(path: Path, holder: str, clock: Clock) -> FolderLock | None:
    """Take a lock, if nobody has it.

    Args:
        path: the file.
        holder: who takes it.
        clock: when to look after the file.

    Raises:
        RegistryError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RegistryError(
            f"the lock {path} cannot be written ({error.strerror}); "
            "give another registry with [registry] url"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return FolderLock(path, descriptor, holder, clock)


class FolderLock:
    """A lock that is held; see `balancer.discovery.Lock`."""

    def __init__(self, path: Path, descriptor: int, holder: str, clock: Clock) -> None:
        """Begin with a file that is locked."""
        self.note = _read(descriptor).note
        self.lost: Deferred[None] = Deferred()
        self._path = path
        self._descriptor = descriptor
        self._clock = clock
        self._held = True
        _write(descriptor, _Content(holder, self.note))
        self._looking = clock.callLater(KEEP_S, self._look)

    def release(self, note: str | None = None) -> Deferred[None]:
        """Give it back; harmless the second time."""
        if self._held:
            _write(self._descriptor, _Content("", self.note if note is None else note))
            self._end()
        return succeed(None)

    def _end(self) -> None:
        self._held = False
        if self._looking.active():
            self._looking.cancel()
        os.close(self._descriptor)

    def _look(self) -> None:
        try:
            same = os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except OSError:
            same = False
        if same:
            self._looking = self._clock.callLater(KEEP_S, self._look)
            return
        # The file was deleted: somebody else can lock another one of that name.
        self._end()
        self.lost.callback(None)


def _read(descriptor: int) -> _Content:
    try:
        return msgspec.json.decode(os.pread(descriptor, 65_536, 0), type=_Content)
    except msgspec.DecodeError:
        return _Content()


def _write(descriptor: int, content: _Content) -> None:
    # At once and over all that was there: a process killed in between would spoil the note.
    length = os.fstat(descriptor).st_size
    os.pwrite(descriptor, msgspec.json.encode(content).ljust(length), 0)
