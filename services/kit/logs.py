"""Logs on standard output: as JSON, which machines that collect them expect, or as text for people.

Either way only what an event says on purpose is written. A failure is told by kind and place and
not by its message, which may hold a value from a request.
"""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from twisted.logger import ILogObserver, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

_NOT_FIELDS = frozenset({"message", "time", "format", "isError", "system", "log_text"})
# What Twisted gives events of its older log, as a whole text with the exception's message in it.
_OLDER_LOG = "{log_text}"
_UNSAID = "unhandled failure"


@implementer(ILogObserver)
class JsonLog:
    """Writes a line of JSON an event: message, level, place, and the event's plain values."""

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
        line: dict[str, Any] = {
            "time": _time(event),
            "level": _level(event),
            "message": message_of(event),
            "place": event.get("log_namespace", ""),
            **self._always,
        }
        for key, value in _plain_fields(event).items():
            if key not in _NOT_FIELDS and key not in line:
                line[key] = value
        self._stream.write(json.dumps(line, default=str) + "\n")
        self._stream.flush()


@implementer(ILogObserver)
class TextLog:
    """Writes a line of text an event: time, level, place, message."""

    def __init__(self, stream: TextIO) -> None:
        """Take a stream; each line is flushed."""
        self._stream = stream

    def __call__(self, event: Any) -> None:
        """Write one event."""
        place = event.get("log_namespace", "-")
        # A value with a line break in it must not look like an event of its own.
        message = message_of(event).replace("\n", "\n\t")
        self._stream.write(f"{_time(event)} {_level(event)} [{place}] {message}\n")
        self._stream.flush()


def message_of(event: Any) -> str:
    """An event in words; with a failure its own words, and the failure's kind and place."""
    # The second is where Twisted's older log has it.
    failure = event.get("log_failure") or event.get("failure")
    if not isinstance(failure, Failure):
        return formatEvent(event)
    frames = traceback.extract_tb(failure.getTracebackObject())
    place = " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))
    return f"{_own_words(event)}: {kind_of(failure.value)} at {place}"


def kind_of(error: BaseException | None) -> str:
    """An exception's kind, and the name that the database has for it: both say nothing of data."""
    kind = type(error).__qualname__
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", "")
    return f"{kind} ({name})" if name else kind


def _own_words(event: Any) -> str:
    """What the event itself says of a failure: its words are ours, the exception's may quote."""
    words: str = event.get("log_format") or _UNSAID
    if words == _OLDER_LOG:
        why = event.get("why")
        return why if isinstance(why, str) else _UNSAID
    try:
        return words.format_map(_Named(_plain_fields(event)))
    except (AttributeError, LookupError, TypeError, ValueError):
        return words


class _Named(dict[str, Any]):
    """Fields by name; one that is not there stands for itself."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def _plain_fields(event: Any) -> dict[str, Any]:
    """The event's own values that are texts or numbers; an exception is none."""
    return {
        key: value
        for key, value in event.items()
        if not key.startswith("log_")
        and (value is None or isinstance(value, (str, int, float, bool)))
    }


def _time(event: Any) -> str:
    return datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds")


def _level(event: Any) -> str:
    level = event.get("log_level")
    return level.name if level is not None else "info"
