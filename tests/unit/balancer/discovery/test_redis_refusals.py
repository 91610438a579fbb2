"""What an operator is told of a password that a Redis does not take, of whatever age it is."""

from __future__ import annotations

import pytest

from balancer.discovery.redis.connect import refusal
from balancer.discovery.redis.url import parse_redis

WRONG = "is wrong"
NONE_SET = "it has no password"
REFUSES = "it refuses the AUTH command"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("WRONGPASS invalid username-password pair or user is disabled.", WRONG),
        ("ERR invalid password", WRONG),  # before Redis 6
        (
            "ERR AUTH <password> called without any password configured for the default user.",
            NONE_SET,
        ),
        ("ERR Client sent AUTH, but no password is set", NONE_SET),  # before Redis 6
        ("ERR wrong number of arguments for 'auth' command", REFUSES),  # a user, before Redis 6
        ("ERR unknown command 'AUTH', with args beginning with: 's3cret'", REFUSES),
        ("NOPERM this user has no permissions to run the 'auth' command", REFUSES),
        ("ERR max number of clients reached", "as many clients as it takes"),
        ("DENIED Redis is running in protected mode because s3cret", "its log says why"),
        ("-", "its log says why"),
    ],
)
@pytest.mark.parametrize("url", ["redis://:s3cret@a", "redis://alice:s3cret@a"])
def test_it_says_what_is_meant_in_our_words(words: str, meant: str, url: str) -> None:
    said = refusal(words, parse_redis(url))
    assert meant in said
    assert "s3cret" not in said
    assert "alice" not in said
