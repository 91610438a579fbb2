from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.telemetry import FINE_BOUNDS_S, CallStats, Histogram, geometric_bounds


def test_bounds_rise_by_their_ratio_and_reach_the_last() -> None:
    bounds = geometric_bounds(1.0, 10.0, 2.0)
    assert bounds == (1.0, 2.0, 4.0, 8.0, 16.0)
    assert FINE_BOUNDS_S[0] == 50e-6
    assert FINE_BOUNDS_S[-1] >= 100.0
    assert len(FINE_BOUNDS_S) == 154


def test_an_empty_one_has_no_percentile() -> None:
    assert Histogram().percentile(0.99) == 0.0


def test_one_value_is_every_percentile() -> None:
    histogram = Histogram()
    histogram.add(0.0123)
    for share in (0.0, 0.5, 1.0):
        assert histogram.percentile(share) == pytest.approx(0.0123, rel=0.05)
    assert (histogram.total, histogram.sum, histogram.greatest) == (1, 0.0123, 0.0123)


def test_values_at_and_beyond_the_bounds_are_counted() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.1, 99.0):
        histogram.add(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.percentile(1.0) == 99.0


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_a_percentile_is_right_to_five_per_cent(share: float) -> None:
    rng = random.Random(1)
    values = sorted(rng.lognormvariate(-6, 1.5) for _ in range(20_000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = values[int(share * len(values))]
    assert histogram.percentile(share) == pytest.approx(exact, rel=0.06)


@given(st.lists(st.floats(0, 200), min_size=1))
def test_percentiles_rise_and_stay_below_the_greatest(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    found = [histogram.percentile(share / 20) for share in range(21)]
    assert found == sorted(found)
    assert found[-1] <= max(values) == histogram.greatest
    assert sum(histogram.counts) == histogram.total == len(values)


def test_statistics_begin_at_nought() -> None:
    stats = CallStats("users")
    assert (stats.service, stats.calls, stats.attempts, stats.rejected) == ("users", 0, 0, 0)
    assert not stats.failures
    assert not stats.health
