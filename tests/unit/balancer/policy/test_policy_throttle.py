from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.policy import Throttle, ThrottleSettings


def told(accepts: int, refusals: int, now: float = 0.0, **how: float) -> Throttle:
    throttle = Throttle(ThrottleSettings(**how), 0.0)
    for _ in range(accepts):
        throttle.accepted(now)
    for _ in range(refusals):
        throttle.refused(now)
    return throttle


@pytest.mark.parametrize(
    ("accepts", "refusals", "share"),
    [
        (100, 0, 0.0),
        (100, 50, 0.0),
        (100, 100, 0.0),
        (100, 200, 100 / 301),
        (100, 900, 800 / 1001),
        (0, 20, 20 / 21 - 0.0024),
        (0, 1000, 0.95),
        (0, 19, 0.0),
        (0, 3, 0.0),
    ],
)
def test_the_share_is_the_books(accepts: int, refusals: int, share: float) -> None:
    assert told(accepts, refusals).share(0.0) == pytest.approx(share, abs=1e-4)


def test_what_is_not_sent_is_wanted_all_the_same() -> None:
    throttle = told(100, 200)
    share = throttle.share(0.0)
    assert throttle.admits(0.0, share)
    assert throttle.share(0.0) == share, "one that is sent counts when it is answered"
    assert not throttle.admits(0.0, share - 0.01)
    assert throttle.share(0.0) > share


@pytest.mark.parametrize("window_s", [0.5, 2.0, 60.0])
def test_what_is_older_than_the_window_is_forgotten(window_s: float) -> None:
    throttle = told(0, 100, window_s=window_s)
    assert throttle.share(0.89 * window_s) > 0.9
    assert throttle.share(1.01 * window_s) == 0.0
    assert not throttle.refusing


def test_the_window_slides() -> None:
    throttle = Throttle(ThrottleSettings(window_s=2.0), 0.0)
    for tick in range(1000):
        now = tick / 100
        # Refusals until 5 s, then as many that are accepted.
        (throttle.refused if now < 5 else throttle.accepted)(now)
        if now == 6.0:
            assert throttle.share(now) == pytest.approx(0.0, abs=0.05), "half and half"
        if 5.0 <= now < 5.4:
            assert throttle.share(now) > 0.5
        if now > 7.2:
            assert throttle.share(now) == 0.0
            assert not throttle.refusing


def test_k_nought_never_acts() -> None:
    throttle = told(0, 1000, k=0.0)
    assert throttle.share(0.0) == 0.0
    assert not throttle.refusing


moves = st.lists(
    st.one_of(
        st.sampled_from(["accepted", "refused", "admits"]),
        st.floats(0, 5, allow_nan=False),
    ),
    max_size=200,
)


@given(moves=moves, k=st.sampled_from([0.0, 1.0, 1.5, 2.0]), random=st.floats(0, 0.999))
def test_the_share_stays_a_share(moves: list[str | float], k: float, random: float) -> None:
    throttle = Throttle(ThrottleSettings(k=k), 5.0)
    now = 5.0
    refused_at = -1.0
    for move in moves:
        if isinstance(move, float):
            now += move
        elif move == "accepted":
            throttle.accepted(now)
        elif move == "refused":
            throttle.refused(now)
            refused_at = now
        elif not throttle.admits(now, random):
            refused_at = now
        share = throttle.share(now)
        assert 0.0 <= share <= 0.95
        if k == 0 or now - refused_at > 2.01:
            assert share == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0.5},
        {"k": -1.0},
        {"window_s": 0.0},
        {"window_s": -1.0},
        {"k": float("nan")},
        {"window_s": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ThrottleSettings(**wrong)
