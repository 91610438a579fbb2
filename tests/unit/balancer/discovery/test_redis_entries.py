"""What Redis says that is no replica's entry: left out, and said once."""

from __future__ import annotations

import msgspec
from twisted.internet.task import Clock

from balancer import Endpoint
from balancer.discovery.redis.following import Following, decode
from tests.logs import said_by

DEEP = b"[" * 100_000 + b"]" * 100_000
GOOD = Endpoint(service="users", replica="users-1", address="x:1")
LINE = msgspec.json.encode(GOOD)
POISON = b'{"service":"users","replica":"x","address":"x:2","more":' + DEEP + b"}"


def test_a_bad_entry_is_left_out_and_said_once() -> None:
    refused: set[int] = set()
    with said_by("balancer.discovery.redis") as said:
        for _ in range(2):
            assert decode(b"\n".join([POISON, LINE, b"{"]), refused, "users") == [GOOD]
    assert len(said) == 2


def test_what_was_said_is_forgotten_with_its_entry() -> None:
    refused: set[int] = set()
    for number in range(10):
        decode(b"bad %d" % number, refused)
        assert len(refused) == 1
    decode(LINE, refused)
    assert not refused


def test_a_message_that_cannot_be_read_is_somebody_elses() -> None:
    following = Following("users", "channel", Clock(), lambda *_: None)
    following.hear(b'{"version":1,"more":' + DEEP + b"}")
