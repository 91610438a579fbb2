from __future__ import annotations

from balancer.policy import Pushback, Replica
from balancer.values import Endpoint


def replica(number: int) -> Replica:
    return Replica(Endpoint(service="users", replica=f"u-{number}", address=f"10.0.0.{number}:80"))


def test_who_asked_for_time_is_held_until_then() -> None:
    one, two, three = replica(1), replica(2), replica(3)
    pushback = Pushback()
    pushback.ask(one, 5.0)
    pushback.ask(two, 3.0)
    assert pushback.held(2.0) == (one, two)
    assert pushback.held(3.0) == (one,)
    assert pushback.held(5.0) == ()
    assert pushback.wait_s([one, two], 2.0) == 1.0
    assert pushback.wait_s([one], 2.0) == 3.0
    assert pushback.wait_s([one, two], 4.0) == 0.0
    assert pushback.wait_s([one, three], 2.0) == 0.0, "one has not asked for any"
    assert pushback.wait_s([], 2.0) == 0.0


def test_the_newest_word_counts() -> None:
    one = replica(1)
    pushback = Pushback()
    pushback.ask(one, 5.0)
    pushback.ask(one, 9.0)
    assert pushback.wait_s([one], 4.0) == 5.0
