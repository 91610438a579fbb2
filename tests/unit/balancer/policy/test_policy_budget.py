from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.policy import BudgetSettings, RetryBudget

moves = st.lists(
    st.one_of(
        st.just("deposit"),
        st.just("withdraw"),
        st.floats(0, 30, allow_nan=False).map(lambda seconds: ("pass", seconds)),
    ),
    max_size=300,
)


@given(
    moves=moves,
    ratio=st.floats(0, 1),
    per_s=st.one_of(st.just(0.0), st.floats(0, 100)),
    now=st.sampled_from([0.0, 1e6]),
)
def test_every_withdrawal_is_covered(
    moves: list[str | tuple[str, float]], ratio: float, per_s: float, now: float
) -> None:
    began = now
    budget = RetryBudget(BudgetSettings(ratio=ratio, per_s=per_s), now)
    calls = withdrawals = 0
    for move in moves:
        if isinstance(move, tuple):
            now += move[1]
        elif move == "deposit":
            calls += 1
            budget.deposit(now)
        else:
            withdrawals += budget.withdraw(now)
        assert withdrawals <= ratio * calls + per_s * (now - began) + per_s + 1e-6
        assert budget.balance(now) >= -1e-6


def test_the_first_failure_may_be_tried_again() -> None:
    budget = RetryBudget(BudgetSettings(), 0.0)
    assert [budget.withdraw(0.0) for _ in range(11)] == [True] * 10 + [False]


def test_a_share_of_the_calls_is_paid_out_exactly() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.2, per_s=0.0), 0.0)
    for _ in range(100):
        budget.deposit(0.0)
    assert [budget.withdraw(0.0) for _ in range(21)] == [True] * 20 + [False]


def test_good_weather_does_not_pay_for_a_storm() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.2, per_s=0.0), 0.0)
    for second in range(3600):
        for _ in range(100):
            budget.deposit(float(second))
    # What an hour has saved is worth no more than the last ten seconds, and then no more than one.
    assert 0.2 * 100 * 9 <= budget.balance(3600.0) <= 0.2 * 100 * 10
    assert budget.balance(3611.0) == 1.0


def test_half_a_minute_in_which_all_fails_costs_no_more_than_its_share() -> None:
    budget = RetryBudget(BudgetSettings(), 0.0)
    retries = calls = 0
    for tick in range(100 * 40):
        now = tick / 100
        budget.deposit(now)
        if now >= 10.0:
            calls += 1
            retries += sum(budget.withdraw(now) for _ in range(3))
    assert 0.9 * (0.2 * calls + 10 * 30) <= retries <= 0.2 * calls + 10 * 30


def test_the_floor_settles_at_ten_seconds_worth() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.0, per_s=10.0), 0.0)
    assert budget.balance(1000.0) == pytest.approx(100.0)


@pytest.mark.parametrize("per_s", [0.02, 0.05, 0.1, 0.5])
def test_a_small_floor_pays_as_often_as_it_says(per_s: float) -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.0, per_s=per_s), 0.0)
    paid = sum(budget.withdraw(float(second)) for second in range(1000))
    assert per_s * 1000 * 0.9 - 2 <= paid <= per_s * 1001


def test_a_small_share_of_few_calls_pays_too() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.01, per_s=0.0), 0.0)
    paid = 0
    for second in range(1000):
        budget.deposit(float(second))
        paid += budget.withdraw(float(second))
    assert paid == 10


def test_nothing_is_paid_where_nothing_is_set() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.0, per_s=0.0), 0.0)
    for _ in range(100):
        budget.deposit(0.0)
    assert not budget.withdraw(1000.0)


def test_a_clock_that_stands_still_changes_nothing() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.5, per_s=0.0), 5.0)
    budget.deposit(5.0)
    budget.deposit(4.0)
    assert budget.balance(4.0) == 1.0


@pytest.mark.parametrize(
    "wrong", [{"ratio": -0.1}, {"ratio": 1.1}, {"per_s": -1.0}, {"per_s": float("nan")}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BudgetSettings(**wrong)
