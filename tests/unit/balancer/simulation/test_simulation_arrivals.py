"""When calls come."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from balancer.simulation.arrivals import even, poisson, recorded, steps


def test_even_arrivals_fill_their_stretch() -> None:
    assert list(even(4.0, 10.0, 11.0)) == [10.0, 10.25, 10.5, 10.75]


def test_a_crowd_has_the_rate_and_the_spread_of_a_poisson_process() -> None:
    instants = list(poisson(100.0, 5.0, 205.0, random.Random(1).random))
    assert instants == sorted(instants)
    assert all(5.0 < instant < 205.0 for instant in instants)
    assert len(instants) == pytest.approx(20_000, rel=0.03)
    gaps = [after - before for before, after in pairwise(instants)]
    mean = sum(gaps) / len(gaps)
    assert sum((gap - mean) ** 2 for gap in gaps) / len(gaps) == pytest.approx(mean**2, rel=0.05)


def test_a_crowd_that_changes_has_each_rate_in_its_time() -> None:
    instants = list(
        steps(((10.0, 50.0), (5.0, 0.0), (10.0, 500.0)), 100.0, random.Random(2).random)
    )
    first = [instant for instant in instants if instant < 110.0]
    last = [instant for instant in instants if instant >= 115.0]
    assert len(first) + len(last) == len(instants)
    assert len(first) == pytest.approx(500, rel=0.15)
    assert len(last) == pytest.approx(5000, rel=0.1)


def test_a_record_is_played_from_its_new_beginning() -> None:
    assert list(recorded([0.0, 0.5, 2.0], 1000.0)) == [1000.0, 1000.5, 1002.0]
