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


class _Entry(msgspec.Struct):
    """What follows, as far as it matters here."""

    at_s: float
    attempts: list[_Entry] = []


def check(log: str) -> None:
    """See that a log can be joined with others.

    Args:
        log: as for `joined`; it may be empty.

    Raises:
        ValueError: it is none, or one of a release that writes others.
    """
    try:
        for number, line in enumerate(log.splitlines()):
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
    parsed = [[_decode(line) for line in log.splitlines()] for log in logs if log]
    if not parsed:
        return b""
    parsed.sort(key=lambda entries: entries[0]["began"])
    header = parsed[0][0]
    entries = [
        _moved(entry, log[0]["began"] - header["began"]) for log in parsed for entry in log[1:]
    ]
    entries.sort(key=lambda entry: entry["at_s"])
    return b"".join(_encode(entry) + b"\n" for entry in (header, *entries))


def _moved(entry: dict[str, Any], by_s: float) -> dict[str, Any]:
    if "attempts" in entry:
        entry["attempts"] = [_moved(attempt, by_s) for attempt in entry["attempts"]]
    return {**entry, "at_s": round(entry["at_s"] + by_s, 6)}
