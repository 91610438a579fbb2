"""One `txmesh up` a folder: the kernel's lock on a file, gone with the process that held it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ..faults import Failed


class Lock:
    """Holds a folder's lock until it is released or the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Args:
            path: the file; its folder is made.

        Raises:
            Failed: another process holds it, or the file cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Failed(
                f"{path} cannot be written ({error.strerror}); run it in a folder of your own, or "
                "give a configuration that lies in one with --config"
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise Failed(
                f"`txmesh up` is already running in {path.parent.parent} "
                f"(process {holder or 'unknown'}); stop that one first, or use another folder"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)
