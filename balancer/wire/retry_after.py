"""``Retry-After``: how long a server asks to be left alone (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from ..values import Reply


def retry_after(reply: Reply) -> float:
    """How long a reply asks to be left alone, in seconds; 0.0 when it does not say.

    Only the form in seconds is read: the one with a date needs two clocks that agree, and a mesh
    whose deadlines are a second gains nothing from a date.
    """
    value = reply.header(b"retry-after")
    if value is None or not value.isdigit() or len(value) > 9:
        return 0.0
    return float(int(value))
