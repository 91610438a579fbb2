"""A replica's own entry in a folder: a file under a lock, for as long as the replica lives.

The kernel drops the lock with the process. The file is looked after as well: where somebody deleted
it (with its folder, say) the living replica enters itself again, for nobody would ever find it. And
what cannot be written for want of room is tried again until it is.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from twisted.logger import Logger

from ...clock import Clock
from ...errors import RegistryError
from ...values import Endpoint

# How often a lease looks whether its file is still there (seconds): losing one is an accident.
KEEP_S = 1.0

_log = Logger()


def is_dead(descriptor: int) -> bool:
    """Whether nobody holds a file's lock; a shared one is taken and given back to find out."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


class FolderLease:
    """See the module."""

    def __init__(
        self,
        folder: Path,
        endpoint: Endpoint,
        clock: Clock,
        left: Callable[[FolderLease], None],
    ) -> None:
        """Enter a replica.

        Args:
            folder: the service's.
            endpoint: what to tell of it.
            clock: when to look after the file.
            left: called when it is withdrawn.

        Raises:
            RegistryError: a living replica has the name, or the folder cannot be written.
        """
        self._folder = folder
        self._endpoint = endpoint
        self._clock = clock
        self._left = left
        try:
            self._check_name()
            self._path, self._descriptor = self._enter()
        except OSError as error:
            raise self._unwritable(error) from None
        self._held = True
        # Whether the file tells something else than it should.
        self._outdated = False
        self._looking = clock.callLater(KEEP_S, self._look)

    def change(self, endpoint: Endpoint) -> None:
        """Tell something else of the replica from now on; see `Lease`."""
        if not self._held:
            return
        self._endpoint = endpoint
        try:
            self._enter_anew()
        except OSError as error:
            self._outdated = True
            _log.warn(
                "{why}; what it tells of {replica} is out of date until it can be",
                why=str(self._unwritable(error)),
                replica=endpoint.replica,
            )

    def withdraw(self) -> None:
        """Leave; harmless the second time."""
        if not self._held:
            return
        self._held = False
        self._looking.cancel()
        _remove(self._path, self._descriptor)
        self._left(self)

    def _unwritable(self, error: OSError) -> RegistryError:
        return RegistryError(
            f"the registry folder {self._folder} cannot be written ({error.strerror}); "
            "give another with [registry] url"
        )

    def _check_name(self) -> None:
        replica = self._endpoint.replica
        for path in self._folder.glob(f"{replica}.*.json"):
            if path.stem.rpartition(".")[0] != replica or not path.is_file():
                continue
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                if not is_dead(descriptor):
                    raise RegistryError(
                        f"a living replica is already announced as {replica}; "
                        "give this one another name with --name"
                    )
            finally:
                os.close(descriptor)

    def _enter(self) -> tuple[Path, int]:
        """Make the file; it gets its name only when it is whole and locked."""
        # No replica ever takes over a dead one's file name, so whoever clears a dead file away
        # cannot hit a living one. (Process numbers would not do: in containers all have one.)
        path = self._folder / f"{self._endpoint.replica}.{secrets.token_hex(4)}.json"
        draft = self._folder / f".{path.name}"
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, msgspec.json.encode(self._endpoint))
            draft.rename(path)
        except OSError:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        return path, descriptor

    def _enter_anew(self) -> None:
        """Put a new file in the place of the old one."""
        # One entry follows the other without a gap: the old one goes when the new one is there.
        path, descriptor = self._path, self._descriptor
        self._path, self._descriptor = self._enter()
        self._outdated = False
        _remove(path, descriptor)

    def _look(self) -> None:
        self._looking = self._clock.callLater(KEEP_S, self._look)
        deleted = not self._path.exists()
        if not deleted and not self._outdated:
            return
        try:
            self._enter_anew()
        except OSError:
            return  # again at the next look
        if deleted:
            _log.warn(
                "the entry of {replica} in the registry was deleted; it is entered again",
                replica=self._endpoint.replica,
            )


def _remove(path: Path, descriptor: int) -> None:
    # First the name, while the lock still keeps others from taking it for a dead one's. Where it
    # cannot be removed, a file without a lock counts as a dead replica's all the same.
    with suppress(OSError):
        path.unlink()
    os.close(descriptor)
