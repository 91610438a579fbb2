from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.policy import DeadlineSettings, attempt_deadline

SETTINGS = DeadlineSettings()


def test_an_attempt_that_may_be_followed_gets_its_share() -> None:
    assert attempt_deadline(SETTINGS, 10.0, 11.0, may_follow=True) == pytest.approx(10.4)


def test_the_last_attempt_gets_all_that_is_left() -> None:
    assert attempt_deadline(SETTINGS, 10.0, 11.0, may_follow=False) == 11.0


def test_a_share_too_short_to_be_useful_is_not_cut_off() -> None:
    assert attempt_deadline(SETTINGS, 10.0, 10.12, may_follow=True) == 10.12
    assert attempt_deadline(SETTINGS, 10.0, 10.13, may_follow=True) == pytest.approx(10.052)


@given(
    now=st.floats(0, 1e7),
    left_s=st.floats(-10, 3600),
    ratio=st.floats(0.01, 1),
    may_follow=st.booleans(),
)
def test_never_after_the_deadline_and_never_a_sliver(
    now: float, left_s: float, ratio: float, may_follow: bool
) -> None:
    deadline = now + left_s
    until = attempt_deadline(
        DeadlineSettings(attempt_ratio=ratio), now, deadline, may_follow=may_follow
    )
    assert until <= deadline + 1e-6
    assert until == deadline or until - now > 0.04


@pytest.mark.parametrize("ratio", [0.0, -0.4, 1.1])
def test_a_share_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="attempt_ratio"):
        DeadlineSettings(attempt_ratio=ratio)
