"""Who stands out among the others: the arithmetic alone; what the fleet does is tested beside it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer import Endpoint
from balancer.policy import EjectionSettings, Replica
from balancer.policy.outliers import fade_attempts, find_outlier, find_usual
from balancer.policy.silence import asked, find_frozen, look_for_silent, look_period_s

SHARE = EjectionSettings().outlier_share


def record(answers: float = 0.0, faults: float = 0.0, slow: float = 0.0) -> Replica:
    replica = Replica(Endpoint(service="u", replica="u", address="10.0.0.1:80"))
    replica.answers, replica.faults, replica.slow = answers, faults, slow
    return replica


def records(*counts: tuple[float, ...]) -> list[Replica]:
    return [record(*each) for each in counts]


def outlier(*counts: tuple[float, ...]) -> tuple[int, str] | None:
    """The place of the outlier among replicas with these (answers, faults, slow), and why."""
    replicas = records(*counts)
    found = find_outlier(replicas, SHARE)
    return (replicas.index(found[0]), found[1]) if found is not None else None


@pytest.mark.parametrize("others", [1, 2, 4, 9, 999])
def test_one_that_fails_every_other_call_stands_out_in_any_fleet(others: int) -> None:
    assert outlier(*[(100, 0)] * others, (50, 50)) == (others, "success-rate")


@pytest.mark.parametrize("others", [1, 2, 4, 9, 999])
def test_one_that_answers_slowly_stands_out_in_any_fleet(others: int) -> None:
    assert outlier(*[(100, 0, 2)] * others, (30, 0, 30)) == (others, "latency")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("bad", [(100, 0), (50, 50), (0, 100), (100, 0, 100), (50, 50, 50)])
def test_when_all_are_alike_nobody_stands_out(count: int, bad: tuple[float, ...]) -> None:
    assert outlier(*[bad] * count) is None


def test_one_alone_is_no_outlier_whatever_it_does() -> None:
    assert outlier((0, 1000, 0)) is None
    assert outlier((1000, 0, 1000)) is None


def test_nobody_is_judged_by_a_few_attempts() -> None:
    assert outlier((100, 0), (1, 4)) is None
    assert outlier((100, 0), (4, 0, 4)) is None
    assert outlier((100, 0), (1, 5)) == (1, "success-rate")


def test_nobody_is_judged_by_the_few_attempts_of_the_others() -> None:
    assert outlier((2, 0), (5, 5)) is None
    assert outlier((0, 0), (5, 5)) is None
    assert outlier((10, 0), (5, 5)) == (1, "success-rate")


def test_a_fifth_is_needed_though_the_others_are_without_a_fault() -> None:
    assert outlier((1000, 0), (81, 19)) is None
    assert outlier((1000, 0), (79, 21)) == (1, "success-rate")


def test_thrice_the_share_of_the_others_is_needed() -> None:
    assert outlier((85, 15), (60, 40)) is None
    assert outlier((90, 10), (60, 40)) == (1, "success-rate")
    assert outlier((60, 40), (0, 100)) is None, "from a third on nobody can stand out by shares"


def test_the_worst_is_told_and_failing_before_slow() -> None:
    assert outlier(*[(100, 0)] * 8, (70, 30), (40, 60)) == (9, "success-rate")
    assert outlier(*[(100, 0)] * 8, (70, 30), (50, 0, 50)) == (8, "success-rate")
    assert outlier(*[(100, 0)] * 8, (60, 0, 30), (50, 0, 50)) == (9, "latency")


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=6))
def test_an_outlier_is_always_worse_than_the_others_together(counts: list[tuple[int, int]]) -> None:
    found = outlier(*counts)
    if found is not None:
        place = found[0]
        answers, faults = counts[place]
        others = [each for index, each in enumerate(counts) if index != place]
        all_faults = sum(bad for _, bad in others)
        all_answers = sum(good for good, _ in others)
        assert faults >= 5
        assert faults / (faults + answers) >= max(
            SHARE, 3 * all_faults / (all_faults + all_answers)
        )


@pytest.mark.parametrize("seed", range(5))
def test_mixed_kinds_of_calls_make_no_outlier(seed: int) -> None:
    # One call in fifty is a report of 1 s; the others take 2 ms. A mean of fifteen answers moves
    # thirtyfold when one of them is among these; shares do not.
    rng = random.Random(seed)
    settings = EjectionSettings()
    replicas = records(*[()] * 3)
    for _ in range(200):
        slow_s = find_usual(replicas, settings).slow_s
        for replica in replicas:
            for _ in range(20):
                latency_s = 1.0 if rng.random() < 0.02 else 0.002
                known_s = replica.latency_s or latency_s
                replica.latency_s = known_s + (latency_s - known_s) / 8
                replica.answers += 1
                replica.slow += latency_s > slow_s
        assert find_outlier(replicas, SHARE) is None
        fade_attempts(replicas, 0.5)


def test_what_is_usual_is_the_median_and_of_two_the_faster() -> None:
    settings = EjectionSettings()

    def usual(*latencies_s: float) -> tuple[float, float]:
        replicas = records(*[()] * len(latencies_s))
        for replica, latency_s in zip(replicas, latencies_s, strict=True):
            replica.latency_s = latency_s
        found = find_usual(replicas, settings)
        return round(found.latency_s, 6), round(found.slow_s, 6)

    assert usual(0.002, 0.020) == (0.002, 0.012), "10 ms more at the least"
    assert usual(0.1, 0.2, 1.0) == (0.2, 1.0), "five times as much"
    assert usual(0.0, 0.0, 0.2) == (0.2, 1.0), "who has not answered yet does not count"
    assert usual(0.0, 0.0) == (0.0, float("inf"))
    assert usual() == (0.0, float("inf"))


def test_attempts_are_forgotten_over_ten_seconds() -> None:
    replica = record(100.0, 50.0, 20.0)
    for _ in range(20):
        fade_attempts([replica], 0.5)
    assert replica.answers == pytest.approx(100 / 2.71828, rel=1e-3)
    assert replica.faults == pytest.approx(50 / 2.71828, rel=1e-3)
    assert replica.slow == pytest.approx(20 / 2.71828, rel=1e-3)


def test_a_silent_one_is_asked_at_the_second_look_and_frozen_at_the_fourth() -> None:
    bad, good = records((), ())
    bad.in_flight = 1
    assert look_for_silent([bad, good]) == []
    assert look_for_silent([bad, good]) == [bad]
    assert look_for_silent([bad, good]) == [bad], "until it is asked"
    asked(bad)
    bad.in_flight = 0  # given up meanwhile: that is no sign of life
    assert look_for_silent([bad, good]) == []
    assert find_frozen([bad, good]) == []
    assert look_for_silent([bad, good]) == []
    assert find_frozen([bad, good]) == [bad]


def test_when_all_are_silent_the_fault_is_ours() -> None:
    replicas = records((), (), ())
    for replica in replicas:
        replica.silent = 6
    assert find_frozen(replicas) == []
    replicas[2].silent = 1
    assert find_frozen(replicas) == replicas[:2]


def test_idle_ones_are_not_silent() -> None:
    replicas = records((), ())
    for _ in range(10):
        assert look_for_silent(replicas) == []
    assert find_frozen(replicas) == []


def test_looks_are_further_apart_where_calls_take_long() -> None:
    assert look_period_s(0.3, 0.0) == pytest.approx(0.1)
    assert look_period_s(0.3, 0.01) == pytest.approx(0.1)
    assert look_period_s(0.3, 0.5) == pytest.approx(1.5)
