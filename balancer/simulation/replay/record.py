"""Reads a decision log that was written to a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ...errors import ConfigError
from ...telemetry import AttemptEntry, CallEntry, DecisionEntry, DecisionHeader


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a log says of one service.

    Attributes:
        service: its name.
        every: each call stands for so many.
        calls: in the order of their beginning; at least one of them reached a replica.
    """

    service: str
    every: int
    calls: list[CallEntry]

    def attempts(self) -> list[AttemptEntry]:
        """All attempts, in the order of their beginning."""
        every = [attempt for call in self.calls for attempt in call.attempts]
        return sorted(every, key=lambda attempt: attempt.at_s)


def read_records(path: Path) -> list[Record]:
    """Read a log.

    Args:
        path: of a file of JSON lines, as ``txmesh load --decisions`` and ``/decisions`` write it.

    Returns:
        A record of each service that was called, the most called first.

    Raises:
        ConfigError: it is no log, or none that can be replayed; the message has the line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    header = _header(path, lines[0] if lines else b"")
    calls: dict[str, list[CallEntry]] = {}
    for entry in _entries(path, lines):
        if isinstance(entry, CallEntry):
            calls.setdefault(entry.service, []).append(entry)
    if not any(call.attempts for each in calls.values() for call in each):
        raise ConfigError(
            f"{path}: no call in it reached a replica, so there is nothing to replay; record some "
            "with `txmesh load ... --decisions FILE`"
        )
    return [
        Record(
            service=service,
            every=max(1, header.every),
            calls=sorted(each, key=lambda call: call.at_s),
        )
        for service, each in sorted(calls.items(), key=lambda item: -len(item[1]))
        if any(call.attempts for call in each)
    ]


def _header(path: Path, line: bytes) -> DecisionHeader:
    usual = DecisionHeader(caller="", began=0.0, every=1)
    try:
        header = msgspec.json.decode(line, type=DecisionHeader)
    except msgspec.DecodeError as error:
        what = error if line else "it is empty"
        raise ConfigError(f"{path}, line 1: not the beginning of a decision log: {what}") from error
    if header.format != usual.format:
        raise ConfigError(f"{path}, line 1: the format is {header.format!r}, not {usual.format!r}")
    if header.version != usual.version:
        raise ConfigError(
            f"{path}, line 1: version {header.version} of the log, and this txmesh reads "
            f"{usual.version}"
        )
    return header


def _entries(path: Path, lines: list[bytes]) -> Iterator[DecisionEntry]:
    decoder: msgspec.json.Decoder[DecisionEntry] = msgspec.json.Decoder(DecisionEntry)
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError as error:
                cut = "; if the log was cut off here, leave this line out"
                raise ConfigError(
                    f"{path}, line {number}: no decision: {error}"
                    f"{cut if number == len(lines) else ''}"
                ) from error
