"""Logs as JSON, a line an event: what machines that collect them expect.

Only what an event says on purpose is written: the formatted message, its level, its place, and the
plain values among its fields. A failure is told by kind and place and not by its message, which may
hold a value from a request.
"""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from twisted.logger import ILogObserver, formatEvent
from zope.interface import implementer

_NOT_FIELDS = frozenset({"message", "time", "format", "isError", "system", "log_text"})


@implementer(ILogObserver)
class JsonLog:
    """Writes events to a stream."""

    def __init__(self, stream: TextIO, **always: Any) -> None:
        """Take a stream.

        Args:
            stream: each line is flushed.
            **always: fields of every line, such as the replica's name.
        """
        self._stream = stream
        self._always = always

    def __call__(self, event: Any) -> None:
        """Write one event."""
        level = event.get("log_level")
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": level.name if level is not None else "info",
            "message": self._message(event),
            "place": event.get("log_namespace", ""),
            **self._always,
        }
        for key, value in event.items():
            plain = isinstance(value, (str, int, float, bool)) or value is None
            if plain and not key.startswith("log_") and key not in _NOT_FIELDS and key not in line:
                line[key] = value
        self._stream.write(json.dumps(line, default=str) + "\n")
        self._stream.flush()

    @staticmethod
    def _message(event: Any) -> str:
        failure = event.get("log_failure")
        if failure is None:
            return formatEvent(event)
        frames = traceback.extract_tb(failure.getTracebackObject())
        place = " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))
        # The event's own words are ours; the exception's may quote a request.
        what = event.get("log_format") or "unhandled failure"
        if "log_failure" in what or "{" in what:
            what = "failure"
        return f"{what}: {failure.type.__qualname__} at {place}"
