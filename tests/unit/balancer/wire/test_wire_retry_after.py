from __future__ import annotations

import pytest

from balancer import Reply
from balancer.wire import retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1", 1.0),
        (b"120", 120.0),
        (b"0", 0.0),
        (b"999999999", 999_999_999.0),
        (b"9999999999", 0.0),
        (b"-1", 0.0),
        (b"1.5", 0.0),
        (b"", 0.0),
        (b"soon", 0.0),
        (b"\xc2\xb2", 0.0),
        (b"Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
    ],
)
def test_seconds_are_read_and_nothing_else(value: bytes, seconds: float) -> None:
    assert retry_after(Reply(503, [(b"Date", b"x"), (b"Retry-After", value)], b"")) == seconds


def test_a_reply_without_it_asks_for_nothing() -> None:
    assert retry_after(Reply(503, [], b"")) == 0.0
