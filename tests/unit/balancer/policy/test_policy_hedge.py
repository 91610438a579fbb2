from __future__ import annotations

import random

import pytest

from balancer.policy import HedgeDelay


def test_nothing_is_known_before_a_hundred() -> None:
    delay = HedgeDelay()
    for number in range(99):
        delay.add(number / 100)
        assert delay.delay_s(0.95) is None
    delay.add(0.99)
    assert delay.delay_s(0.95) == pytest.approx(0.95)
    assert delay.delay_s(0.5) == pytest.approx(0.5)
    assert delay.delay_s(0.9999) == pytest.approx(0.99)


def test_it_follows_what_is_recent() -> None:
    delay = HedgeDelay()
    for _ in range(5000):
        delay.add(0.1)
    for _ in range(100):
        delay.add(1.0)
    assert delay.delay_s(0.95) == 1.0, "a tenth of the last thousand is slow"
    for _ in range(1000):
        delay.add(0.02)
    assert delay.delay_s(0.95) == 0.02


def test_a_delay_is_never_so_short_that_a_hiccup_hedges_everything() -> None:
    delay = HedgeDelay()
    for _ in range(100):
        delay.add(0.0001)
    assert delay.delay_s(0.95) == 0.002


@pytest.mark.parametrize("share", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("known_s", [0.5, 1.0, 20.0])
def test_it_settles_at_its_share_although_the_losers_are_cut_short(
    share: float, known_s: float
) -> None:
    # Exponential latencies of mean 1, from wherever it begins.
    rng = random.Random(1)
    delay = HedgeDelay()
    for _ in range(1000):
        delay.add(known_s)
    hedges = 0
    for number in range(40_000):
        wait_s = delay.delay_s(share)
        assert wait_s is not None
        first = rng.expovariate(1)
        if first > wait_s:
            hedges += number >= 20_000
            first = min(first, wait_s + rng.expovariate(1))
        delay.add(first)
    assert hedges / 20_000 == pytest.approx(1 - share, rel=0.1)
