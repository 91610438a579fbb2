"""Output that may be closed under a replacement, which goes on and still ends with its status."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from .events import Event


class Showing:
    """Shows events, for as long as anybody reads and until it is ended."""

    def __init__(self, show: Callable[[Event], None], stream: TextIO | None) -> None:
        """Take what shows.

        Args:
            show: called with each event.
            stream: where it writes to; see `attempt`.
        """
        self._show = show
        self._stream = stream
        self._ended = False

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if not self._ended:
            self._ended = not attempt(lambda: self._show(event), self._stream)

    def end(self) -> None:
        """Show nothing any more."""
        self._ended = True


def attempt(write: Callable[[], None], stream: TextIO | None) -> bool:
    """Write, if it can be; a stream that cannot be written to is mute from then on.

    Args:
        write: writes to this stream alone: what becomes of one says nothing of another.
        stream: None for one that whoever started us has closed.

    Returns:
        Whether it was written.
    """
    if stream is None:
        return False
    try:
        write()
    except OSError:  # whoever read it has enough, or the disk is full
        _mute(stream)
        return False
    return True


def _mute(stream: TextIO) -> None:
    """Have what is written go nowhere.

    Underneath, so that what is left in the buffer goes the same way: Python writes that at its end,
    and would end with a status of its own.
    """
    with suppress(OSError):  # it has no descriptor
        target = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, target)
        os.close(nowhere)
