from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.schedule import Always, At, Every, Timetable

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC).timestamp()
# Both nights on which Berlin's clocks are set.
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)


def slots(timetable: Timetable, first: datetime, last: datetime) -> list[str]:
    """All slots between two instants, as UTC."""
    found, slot = [], timetable.following(timetable.latest(first.timestamp() - 1))
    while slot <= last.timestamp():
        found.append(datetime.fromtimestamp(slot, UTC).strftime("%d %H:%M"))
        slot = timetable.following(slot)
    return found


@given(
    st.floats(0.05, 86_400 * 31), st.text(max_size=5), st.floats(0, 4e9), st.integers(0, 1_000_000)
)
def test_slots_follow_each_other_and_hold_every_moment(
    period_s: float, key: str, now: float, further: int
) -> None:
    every = Every(period_s).placed(key)
    slot = every.latest(now)
    # A float of today's seconds has a grain of some tenths of a microsecond.
    assert slot - 1e-5 <= now < every.following(slot) + 1e-5
    assert every.following(slot) - slot == pytest.approx(period_s, abs=1e-5)
    later = min(slot + further * period_s, 4e9)
    named = every.following(every.latest(later))
    # Whichever way a machine comes to a slot, it is the same number there.
    assert every.latest(named + 1e-5) == named


def test_jobs_of_other_names_have_other_slots() -> None:
    phases = {Every(60.0).placed(f"users.job{number}").phase_s for number in range(20)}
    assert len(phases) == 20
    assert all(0 <= phase < 60 for phase in phases)
    assert Every(60.0).placed("a") == Every(60.0).placed("a")


@pytest.mark.parametrize("period_s", [0.0, -1.0, 0.01, math.nan, math.inf, 86_400 * 400])
def test_periods_that_are_none(period_s: float) -> None:
    with pytest.raises(ValueError, match="period goes from"):
        Every(period_s)


def test_a_time_of_day() -> None:
    at = At("03:30")
    day = datetime(2026, 11, 20, tzinfo=UTC)
    assert slots(at, day, day + timedelta(days=2)) == ["20 03:30", "21 03:30"]
    assert at.latest(NOW) == datetime(2026, 11, 20, 3, 30, tzinfo=UTC).timestamp()
    exactly = datetime(2026, 11, 20, 3, 30, tzinfo=UTC).timestamp()
    assert at.latest(exactly) == exactly
    assert at.latest(exactly - 0.001) == exactly - 86_400


def test_fields_of_cron() -> None:
    day = datetime(2026, 11, 20, tzinfo=UTC)
    assert slots(At("*/15 12 * * *"), day, day + timedelta(days=1)) == [
        "20 12:00",
        "20 12:15",
        "20 12:30",
        "20 12:45",
    ]
    assert slots(At("0 6 * * MON"), day, day + timedelta(days=11)) == ["23 06:00", "30 06:00"]
    leap = At("0 0 29 2 *").latest(NOW)
    assert datetime.fromtimestamp(leap, UTC) == datetime(2024, 2, 29, tzinfo=UTC)


def test_a_fixed_time_in_the_gap_of_spring_comes_right_after_it() -> None:
    at = At("02:30", "Europe/Berlin")
    around = slots(at, SPRING - timedelta(days=1), SPRING + timedelta(days=1, hours=23))
    # 01:30 in winter's UTC, then 01:00 (03:00 on the clock), then 00:30 in summer's.
    assert around == ["28 01:30", "29 01:00", "30 00:30"]


def test_a_fixed_time_that_comes_twice_in_autumn_counts_once() -> None:
    at = At("02:30", "Europe/Berlin")
    around = slots(at, AUTUMN - timedelta(days=1), AUTUMN + timedelta(days=1, hours=23))
    assert around == ["24 00:30", "25 00:30", "26 01:30"]
    # Between the two of them the first has been.
    between = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1).timestamp()
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0).timestamp()
    assert At("02:30", "Europe/Berlin").latest(between) == first


@pytest.mark.parametrize("night", [SPRING, AUTUMN])
def test_a_time_with_a_star_goes_by_the_clock_as_it_runs(night: datetime) -> None:
    at = At("*/20 * * * *", "Europe/Berlin")
    assert len(slots(at, night, night + timedelta(hours=5))) == 16
    assert len(slots(At("0 * * * *", "Europe/Berlin"), night, night + timedelta(hours=5))) == 6


@settings(deadline=None)  # the first look at a zone reads its file
@given(
    st.sampled_from(["02:30", "*/7 * * * *", "0 1-3 * * *", "*/5 2 * * *", "30 2 * * SUN"]),
    st.sampled_from([SPRING, AUTUMN]),
    st.lists(st.integers(-90_000, 90_000), min_size=2, max_size=6),
)
def test_the_latest_slot_never_depends_on_what_was_asked_before(
    times: str, night: datetime, offsets: list[int]
) -> None:
    at = At(times, "Europe/Berlin")
    for offset in offsets:
        now = night.timestamp() + offset
        slot = at.latest(now)
        assert slot == At(times, "Europe/Berlin").latest(now)
        assert slot <= now < at.following(slot)
    found = sorted({at.latest(night.timestamp() + offset) for offset in offsets})
    for before, after in pairwise(found):
        assert at.following(before) <= after


@pytest.mark.parametrize(
    ("times", "zone", "why"),
    [
        ("3:30", "UTC", "not a time such as 03:30"),
        ("24:00", "UTC", "not a time"),
        ("* * * * * *", "UTC", "not a time"),
        ("61 * * * *", "UTC", "Bad minute"),
        ("0 0 31 2 *", "UTC", "Bad day-of-month"),
        ("", "UTC", "not a time"),
        ("03:30", "Europe/Atlantis", "is not known here"),
        ("03:30", "../etc/passwd", "is not known here"),
        ("03:30", "", "is not known here"),
    ],
)
def test_times_that_are_none(times: str, zone: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        At(times, zone)


def test_a_daemon_has_one_slot_that_is_never_done() -> None:
    always = Always().placed("x")
    assert always.settled(NOW) < always.latest(NOW) == always.latest(NOW + 1e9)
    assert always.following(always.latest(NOW)) == math.inf
