"""The logs of all replicas: a file each, in one folder."""

from __future__ import annotations

from pathlib import Path

from .logfile import LogFile


class Logs:
    """See the module.

    Attributes:
        folder: where they lie.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Begin with none.

        Args:
            folder: where they are to lie.
            most_bytes: how large each may grow before it is moved aside.
        """
        self.folder = folder
        self._most_bytes = most_bytes
        self._files: dict[str, LogFile] = {}

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
        """Nobody writes to it any more; the file stays."""
        self._files.pop(replica, None)

    def limit(self) -> None:
        """Move aside what has grown too large."""
        for log in self._files.values():
            log.limit()
