"""Output that may be closed under a replacement, which goes on and still ends with its status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from .events import Event


class Showing:
    """Shows events, for as long as anybody reads and until it is ended."""

    def __init__(self, show: Callable[[Event], None]) -> None:
        """Take what shows.

        Args:
            show: called with each event.
        """
        self._show = show
        self._ended = False

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if self._ended:
            return
        try:
            self._show(event)
        except OSError:  # whoever read it has enough, or the disk is full
            self.end()
            mute()

    def end(self) -> None:
        """Show nothing any more."""
        self._ended = True


def mute() -> None:
    """Have what nobody reads any more go nowhere; a stream that can still be written to stays."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Underneath, so that what is left in its buffer goes the same way.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
