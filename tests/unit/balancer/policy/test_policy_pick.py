from __future__ import annotations

import random
from collections import Counter

import pytest

from balancer import Endpoint
from balancer.policy import Replica, TwoChoices


def some(count: int) -> list[Replica]:
    return [
        Replica(Endpoint(service="users", replica=f"users-{n}", address=f"10.0.0.{n}:80"))
        for n in range(count)
    ]


def picker(seed: int = 1) -> TwoChoices:
    return TwoChoices(random.Random(seed).random)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_idle_replicas_are_picked_evenly(count: int) -> None:
    replicas = some(count)
    pick = picker()
    seen = Counter(pick.pick(replicas) for _ in range(6000))
    expected = 6000 / count
    assert len(seen) == count
    # 5 standard deviations of a binomial count.
    assert all(abs(taken - expected) < 5 * expected**0.5 for taken in seen.values())


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_replicas_are_within_ten_of_their_mean(seed: int) -> None:
    # Finagle's own test: picks that stay in flight, so that each evens the ones before out.
    replicas = some(100)
    pick = picker(seed)
    for _ in range(100_000):
        pick.pick(replicas).in_flight += 1
    assert all(abs(replica.in_flight - 1000) <= 10 for replica in replicas)


def test_of_two_the_less_busy_is_always_picked() -> None:
    one, other = some(2)
    one.in_flight = 1
    pick = picker()
    assert all(pick.pick([one, other]) is other for _ in range(200))
    assert all(pick.pick([other, one]) is other for _ in range(200))


def test_of_three_the_busiest_is_never_picked() -> None:
    replicas = some(3)
    replicas[1].in_flight = 5
    replicas[2].in_flight = 4
    pick = picker()
    seen = Counter(replicas.index(pick.pick(replicas)) for _ in range(3000))
    # The idle one is in two pairs of three; in the third the less busy of the others wins.
    assert seen[1] == 0
    assert abs(seen[0] - 2000) < 150
    assert abs(seen[2] - 1000) < 150


def test_a_refusal_weighs_like_an_attempt_in_flight() -> None:
    one, other = some(2)
    one.refusals = 2.5
    other.in_flight = 2
    pick = picker()
    assert all(pick.pick([one, other]) is other for _ in range(50))
    other.in_flight = 3
    assert all(pick.pick([one, other]) is one for _ in range(50))


@pytest.mark.parametrize("value", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_edges_of_the_random_source_stay_inside(value: float, count: int) -> None:
    replicas = some(count)
    assert TwoChoices(lambda: value).pick(replicas) in replicas
