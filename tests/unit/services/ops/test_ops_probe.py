"""What an answer at what is, or was, an admin port says of a replica."""

from __future__ import annotations

import pytest

from balancer import Reply
from services.ops.probe import state


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, b'{"status":"ready"}', "ready"),
        (503, b'{"status":"standby"}', "standby"),
        (503, b'{"status":"starting"}', "starting"),
        (503, b'{"status":"draining"}', "draining"),
        # Another replica's admin port, another one's service port, somebody else's page.
        (421, b'{"type":"misdirected","replica":"users-2"}', "unreachable"),
        (404, b'{"type":"no-such-path"}', "unreachable"),
        (200, b"<html>It works!</html>", "unreachable"),
        (503, b'{"type":"overloaded"}', "unreachable"),
    ],
)
def test_a_state_is_only_what_a_replica_says_of_itself(
    status: int, body: bytes, found: str
) -> None:
    assert state(Reply(status, [], body)) == found
