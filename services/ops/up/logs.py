"""The logs of all replicas: a file each, in one folder."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from .logfile import LogFile
from .oldlogs import Left, surplus

# How many logs of replicas that are gone are kept for each service: those of the last replacements
# of a service with a handful of replicas, and with both files of each a bounded part of the disk.
# What ended together is kept together, see `surplus`.
KEPT = 20

_NAME = re.compile(r"(.+)\.log(?:\.1)?").fullmatch


class Logs:
    """See the module.

    Attributes:
        folder: where they lie.
    """

    def __init__(self, folder: Path, most_bytes: int, services: Collection[str]) -> None:
        """Begin with none.

        Args:
            folder: where they are to lie; nobody else's logs lie there.
            most_bytes: how large each may grow before it is moved aside.
            services: the names of those whose replicas may have left some there.
        """
        self.folder = folder
        self._most_bytes = most_bytes
        self._services = services
        self._files: dict[str, LogFile] = {}
        self._troubles: set[str] = set()

    def of(self, replica: str) -> LogFile:
        """A replica's log.

        Args:
            replica: its name, which is part of the file's.
        """
        return self._files.get(replica) or LogFile(self.folder / f"{replica}.log", self._most_bytes)

    def begin(self, replica: str) -> LogFile:
        """A replica's log, which is kept from growing from now on."""
        log = self._files[replica] = self.of(replica)
        return log

    def forget(self, replica: str) -> None:
        """Nobody writes to it any more; the file stays until `KEPT` newer ones are left too."""
        self._files.pop(replica, None)

    def limit(self) -> list[str]:
        """Remove what is too old, and move aside what has grown too large.

        In this order: what is moved aside is copied, and a full disk first needs room.

        Returns:
            What went wrong, in words, each trouble once for as long as it lasts.
        """
        troubles: set[str] = set()
        try:
            for replica in surplus(self._left(), self._services, KEPT):
                self.of(replica).remove()
        except OSError as error:
            troubles.add(f"old logs in {self.folder} cannot be removed: {_why(error)}")
        for log in self._files.values():
            try:
                log.limit()
            except OSError as error:
                troubles.add(f"{log.path} cannot be kept from growing: {_why(error)}")
        new = troubles - self._troubles
        self._troubles = troubles
        return sorted(new)

    def _left(self) -> list[Left]:
        """The logs of replicas that are gone, those of earlier runs among them."""
        written: dict[str, float] = {}
        with suppress(FileNotFoundError):  # the folder comes with the first log
            for path in self.folder.iterdir():
                name = _NAME(path.name)
                if name and name[1] not in self._files:
                    with suppress(FileNotFoundError):  # somebody else tidies up as well
                        at = path.stat().st_mtime
                        written[name[1]] = max(at, written.get(name[1], at))
        return [Left(replica, at) for replica, at in written.items()]


def _why(error: OSError) -> str:
    return error.strerror or str(error)
