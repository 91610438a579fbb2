"""A lock in a folder: the kernel's, on a file, gone with the process that held it.

The file stays when the lock is given back: in it is the note that the last holder left. Who waits
for a lock asks again; the kernel gives it to one of those who ask.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred, fail, succeed

from ...clock import Clock
from ...errors import RegistryError
from .lease import is_dead

# How often a holder looks whether its file is still the one that others would lock (seconds).
KEEP_S = 1.0
# How often a lock is tried that is in the hands of who only looks: a few microseconds each time.
_TRIES = 10


class _Content(msgspec.Struct, frozen=True):
    """What the file says, for people and for the next holder."""

    holder: str = ""
    note: str = ""


def take_lock(
    path: Path, holder: str, clock: Clock, ended: Callable[[FolderLock], None]
) -> FolderLock | None:
    """Take a lock, if nobody has it.

    Args:
        path: the file.
        holder: who takes it.
        clock: when to look after the file.
        ended: called when it is not held any more.

    Raises:
        RegistryError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        if not _try(descriptor):
            os.close(descriptor)
            return None
        note = _read(descriptor).note
        _write(descriptor, _Content(holder, note))
    except OSError as error:
        _let_go(descriptor)
        raise _unwritable(path, error) from None
    return FolderLock(path, descriptor, note, clock, ended)


def read_holder(path: Path) -> str:
    """Who has a lock now; "" when nobody has.

    Args:
        path: the file.

    Raises:
        RegistryError: the file cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        holder = _read(descriptor).holder
        # Who gives it back takes the name out; who was killed leaves it there.
        return "" if not holder or is_dead(descriptor) else holder
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)


class FolderLock:
    """A lock that is held; see `balancer.discovery.Lock`."""

    def __init__(
        self,
        path: Path,
        descriptor: int,
        note: str,
        clock: Clock,
        ended: Callable[[FolderLock], None],
    ) -> None:
        """Begin with a file that is locked, and has the holder's name in it."""
        self.note = note
        self.lost: Deferred[None] = Deferred()
        self._path = path
        self._descriptor = descriptor
        self._clock = clock
        self._ended = ended
        self._held = True
        self._looking = clock.callLater(KEEP_S, self._look)

    def release(self, note: str | None = None) -> Deferred[None]:
        """Give it back; harmless the second time. Only its note can fail."""
        if not self._held:
            return succeed(None)
        try:
            _write(self._descriptor, _Content("", self.note if note is None else note))
        except OSError as error:
            return fail(
                RegistryError(
                    f"the lock {self._path} is given back, but its note cannot be written "
                    f"({error.strerror}); make room there"
                )
            )
        finally:
            self._end()
        return succeed(None)

    def _end(self) -> None:
        self._held = False
        if self._looking.active():
            self._looking.cancel()
        _let_go(self._descriptor)
        self._ended(self)

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


def _unwritable(path: Path, error: OSError) -> RegistryError:
    return RegistryError(
        f"the lock {path} cannot be written ({error.strerror}); "
        "give another registry with [registry] url"
    )


def _unreadable(path: Path, error: OSError) -> RegistryError:
    return RegistryError(
        f"the lock {path} cannot be read ({error.strerror}); "
        "let this user read it, or give another registry with [registry] url"
    )


def _try(descriptor: int) -> bool:
    """Lock the file, unless somebody has it.

    Who looks whether a lock is a dead holder's has it for that moment, and is not to be taken for
    a holder.
    """
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_dead(descriptor):
                return False
        else:
            return True
    return False


def _let_go(descriptor: int) -> None:
    # Closing alone would leave it to a child that was forked meanwhile.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _read(descriptor: int) -> _Content:
    try:
        return msgspec.json.decode(os.pread(descriptor, 65_536, 0), type=_Content)
    except (ValueError, RecursionError):  # what msgspec raises is a ValueError
        return _Content()


def _write(descriptor: int, content: _Content) -> None:
    # At once and over all that was there: a process killed in between would spoil the note.
    length = os.fstat(descriptor).st_size
    encoded = msgspec.json.encode(content).ljust(length)
    if os.pwrite(descriptor, encoded, 0) < len(encoded):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
