"""A socket's name in the file system, which the kernel wants to be short."""

from __future__ import annotations

import os
from pathlib import Path

from ..faults import Failed

# `sun_path` holds 108 bytes, the last of which is 0.
_MOST_BYTES = 107
# Where the kernel shows a process its own descriptors as files.
_DESCRIPTORS = Path("/proc/self/fd")


class SocketPath:
    """A path by which a socket is opened or reached.

    One that is too long goes through a descriptor of its folder, which must be kept open until the
    socket is connected or closed.

    Attributes:
        name: what to hand to the kernel.
    """

    def __init__(self, path: Path) -> None:
        """Find a name that is short enough.

        Args:
            path: the socket; its folder is there.

        Raises:
            Failed: it is too long, and this system has no way around that.
            OSError: the folder cannot be opened.
        """
        self.name = str(path)
        self._folder: int | None = None
        if len(os.fsencode(path)) <= _MOST_BYTES:
            return
        if not _DESCRIPTORS.is_dir():
            raise Failed(
                f"{path} is too long for a socket ({len(os.fsencode(path))} bytes, at most "
                f"{_MOST_BYTES}); use a folder with a shorter path"
            )
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        self.name = f"{_DESCRIPTORS}/{self._folder}/{path.name}"

    def close(self) -> None:
        """Give the folder back; harmless the second time."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None
