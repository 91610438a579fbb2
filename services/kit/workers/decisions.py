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


def joined(logs: Iterable[str]) -> bytes:
    """Join logs.

    Args:
        logs: each a header line and a line an entry; see `balancer.telemetry.decisions`.

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
