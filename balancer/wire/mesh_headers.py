"""The mesh's own headers, written and read.

Plain HTTP with a few more fields: whoever does not know them loses nothing but the comfort.
"""

from __future__ import annotations

from functools import lru_cache

from ..values import LoadReport

# No request takes a day, and none that was measured less than a nanosecond.
_FOR_EVER_MS = 86_400_000.0
_NEVER_MS = 1e-6
# Of requests, or of seconds; what is beyond no float can hold.
_MOST = 10**12


def format_load(load: LoadReport) -> bytes:
    """Write a ``Mesh-Load`` value."""
    text = f"in-flight={load.in_flight}, latency-ms={load.latency_ms:.3f}, age-s={load.age_s}"
    return (f"{text}, draining" if load.draining else text).encode("ascii")


# A replica writes a new text a few times a second for each number in flight; its callers read most
# of them more than once.
@lru_cache(maxsize=4096)
def parse_load(value: bytes) -> LoadReport | None:
    """Read a ``Mesh-Load`` value.

    Returns:
        None when it cannot be understood: load is advice, and bad advice is ignored.
    """
    found: dict[bytes, bytes] = {}
    for item in value.split(b","):
        key, _, text = item.strip().partition(b"=")
        found[key] = text
    try:
        load = LoadReport(
            in_flight=int(found.get(b"in-flight", b"0")),
            latency_ms=float(found.get(b"latency-ms", b"0")),
            age_s=int(found.get(b"age-s", b"0")),
            draining=found.get(b"draining", b"?0") in (b"", b"?1"),
        )
    except ValueError:
        return None
    # A replica that says nan or less than nothing would be picked always or never, and for good.
    known = load.latency_ms == 0 or _NEVER_MS <= load.latency_ms < _FOR_EVER_MS
    return load if known and 0 <= load.in_flight < _MOST and 0 <= load.age_s < _MOST else None


def format_deadline(left_s: float) -> int:
    """The ``Mesh-Deadline`` of a call: whole milliseconds left, at least 1."""
    return max(1, int(left_s * 1000))


def parse_deadline(value: bytes) -> float | None:
    """Read a ``Mesh-Deadline``.

    Returns:
        Seconds left, or None when the value is not a whole number of at most 9 digits.
    """
    if not value.isdigit() or len(value) > 9:
        return None
    return int(value) / 1000
