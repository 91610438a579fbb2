"""Logs: as JSON, which machines that collect them expect, or as text for people.

Either way only what an event says on purpose is written. A failure is told by kind and place and
not by its message, which may hold a value from a request.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from twisted.logger import ILogObserver, Logger, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

_log = Logger()
_NOT_FIELDS = frozenset({"message", "time", "format", "isError", "system", "log_text"})
# What Twisted gives events of its older log, as a whole text with the exception's message in it.
_OLDER_LOG = "{log_text}"
_UNSAID = "unhandled failure"


class Stream(Protocol):
    """Where lines go; a text file is one."""

    def write(self, text: str, /) -> object:
        """Write a line."""

    def flush(self) -> object:
        """Keep nothing back."""


class LogFile:
    """A file to which several processes append, a whole line at a time."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            OSError: it cannot be written.
        """
        self._path = path
        self._descriptor = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, 0o640)

    def write(self, text: str, /) -> None:
        """Append a line: in one call, so that none of another process comes into it."""
        os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Nothing is kept back."""

    def reopen(self) -> None:
        """Go on in a new file of the same name, once somebody has moved the old one away.

        Raises:
            OSError: it cannot be opened; the old one stays in use.
        """
        descriptor, self._descriptor = self._descriptor, self._open()
        os.close(descriptor)


class Log:
    """Where one process's log goes, and in which form."""

    def __init__(self, form: str, file: Path | None) -> None:
        """Open it.

        Args:
            form: "json" or "text".
            file: None for standard output.

        Raises:
            OSError: the file cannot be written.
        """
        self._form = form
        self._file = LogFile(file) if file is not None else None

    def observer(self, **always: Any) -> ILogObserver:
        """What writes events.

        Args:
            **always: fields of every line in JSON.
        """
        stream: Stream = self._file or sys.stdout
        form: Any = JsonLog if self._form == "json" else TextLog
        observer: ILogObserver = form(stream, **always)
        return observer

    def reopen(self) -> None:
        """Open the file anew, if there is one; the log tells what came of it."""
        if self._file is None:
            _log.info("SIGUSR1 changes nothing: the log is not in a file of --log-file")
            return
        try:
            self._file.reopen()
        except OSError as error:
            _log.error(
                "the log file cannot be opened anew ({why}): it goes on in the old one",
                why=error.strerror,
            )
        else:
            _log.info("the log file was opened anew")


@implementer(ILogObserver)
class JsonLog:
    """Writes a line of JSON an event: message, level, place, and the event's plain values."""

    def __init__(self, stream: Stream, **always: Any) -> None:
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

    def __init__(self, stream: Stream, *, replica: str = "", worker: int | None = None) -> None:
        """Take a stream.

        Args:
            stream: each line is flushed.
            replica: not written: people know what they look at.
            worker: which one it is, when there are several processes.
        """
        self._stream = stream
        self._who = "" if worker is None else f" worker {worker}"

    def __call__(self, event: Any) -> None:
        """Write one event."""
        place = event.get("log_namespace", "-")
        # A value with a line break in it must not look like an event of its own.
        message = message_of(event).replace("\n", "\n\t")
        self._stream.write(f"{_time(event)} {_level(event)} [{place}]{self._who} {message}\n")
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
