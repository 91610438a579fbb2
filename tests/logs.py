"""What the log says meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer


@contextmanager
def said_by(room: str) -> Iterator[list[str]]:
    """Listen to a package.

    Yields:
        Its messages, oldest first; the list grows.
    """
    said: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith(room):
            said.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        yield said
    finally:
        globalLogPublisher.removeObserver(observe)
