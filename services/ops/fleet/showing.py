"""Output that may be closed under a replacement, which goes on and still ends with its status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

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
    """Have all that is still written go nowhere."""
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
