"""The decision logs of all workers as one. Pure.

A log's times count from its own beginning, so those of the later ones are moved to the first's.
What keys are digested to differs from worker to worker: a key that two of them saw looks like two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Header(msgspec.Struct):
    """What a log begins with, as far as it matters here."""

    began: float
    left_out: int = 0


class _Entry(msgspec.Struct):
    """What follows, as far as it matters here."""

    at_s: float
    attempts: list[_Entry] = []


def newest(log: bytes, most_bytes: int) -> bytes:
    """Cut a log to the newest entries that fit.

    Args:
        log: a header line and a line an entry, the newest last.
        most_bytes: how much the entries may take.

    Returns:
        The log, its header saying how many entries were left out if any were.
    """
    head, _, entries = log.partition(b"\n")
    if len(entries) <= most_bytes:
        return log
    begin = entries.find(b"\n", len(entries) - most_bytes - 1) + 1 or len(entries)
    header = {**_decode(head), "left_out": entries.count(b"\n", 0, begin)}
    return _encode(header) + b"\n" + entries[begin:]


def check(log: str) -> None:
    """See that a log can be joined with others.

    Args:
        log: as for `joined`; it may be empty.

    Raises:
        ValueError: it is none, or one of a release that writes others.
    """
    try:
        for number, line in enumerate(_lines(log)):
            msgspec.json.decode(line, type=_Entry if number else _Header)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def joined(logs: Iterable[str]) -> bytes:
    """Join logs.

    Args:
        logs: each a header line and a line an entry, see `balancer.telemetry.decisions`; such as
            `check` lets pass.

    Returns:
        One such log, in the order of time; empty without any.
    """
    parsed = [[_decode(line) for line in lines] for lines in map(_lines, logs) if lines]
    if not parsed:
        return b""
    parsed.sort(key=lambda entries: entries[0]["began"])
    header = parsed[0][0]
    left_out = sum(entries[0].get("left_out", 0) for entries in parsed)
    if left_out:
        header["left_out"] = left_out
    entries = [
        _moved(entry, log[0]["began"] - header["began"]) for log in parsed for entry in log[1:]
    ]
    entries.sort(key=lambda entry: entry["at_s"])
    return b"".join(_encode(entry) + b"\n" for entry in (header, *entries))


def _lines(log: str) -> list[str]:
    # Not `splitlines`: in JSON there may be other ends of lines as they are, such as U+2028.
    return [line for line in log.split("\n") if line]


def _moved(entry: dict[str, Any], by_s: float) -> dict[str, Any]:
    if "attempts" in entry:
        entry["attempts"] = [_moved(attempt, by_s) for attempt in entry["attempts"]]
    return {**entry, "at_s": round(entry["at_s"] + by_s, 6)}
