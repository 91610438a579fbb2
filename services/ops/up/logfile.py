"""A replica's log: a file that a child process appends to, kept from growing for ever."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


class LogFile:
    """One file, and at most one older one beside it.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        """Name a file; nothing is touched yet.

        Args:
            path: where.
            most_bytes: how large it may grow before it is moved aside.
        """
        self.path = path
        self._older = path.with_name(f"{path.name}.1")
        self._most_bytes = most_bytes
        self._began = 0

    def open(self) -> int:
        """Open it for a new process.

        Returns:
            A descriptor that appends; to be closed by the caller.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._began = os.fstat(descriptor).st_size
        return descriptor

    def limit(self) -> None:
        """Move the contents aside when there are too many.

        The writer keeps its descriptor, so the contents are copied and the file is emptied: the
        lines written in between are lost, which a size-capped log can bear.
        """
        with suppress(FileNotFoundError):  # whoever removes a log wants it smaller still
            if self.path.stat().st_size > self._most_bytes:
                shutil.copyfile(self.path, self._older)
                os.truncate(self.path, 0)
                self._began = 0

    def remove(self) -> None:
        """Remove both files; one that cannot be removed stays."""
        for path in (self.path, self._older):
            with suppress(OSError):
                path.unlink()

    def tail(self, lines: int) -> list[str]:
        """The last lines that the latest process has written; none when there is no such file."""
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # 16 KiB hold more lines than anybody wants to see at once.
            file.seek(max(self._began, size - 16_384))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
        return []
