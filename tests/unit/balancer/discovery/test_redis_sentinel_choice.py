"""Which of the masters that Sentinels name is believed."""

from __future__ import annotations

from balancer.discovery.redis.sentinel import agreed, choose

OLD, NEW = ("a", 1), ("b", 1)


def test_most_are_believed_and_not_the_first() -> None:
    assert choose([OLD, NEW, NEW], None) == NEW
    assert choose([OLD, NEW], None) == OLD


def test_what_was_of_no_use_is_tried_last() -> None:
    assert choose([OLD, OLD, NEW], OLD) == NEW
    assert choose([OLD], OLD) == OLD


def test_a_server_is_left_only_when_most_of_all_say_so() -> None:
    assert agreed([NEW, NEW], 3) == NEW
    assert agreed([NEW], 1) == NEW
    assert agreed([NEW], 3) is None
    assert agreed([OLD, NEW], 2) is None
    assert agreed([], 3) is None
