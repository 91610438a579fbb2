from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from services.kit.storage import microseconds, moment

zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
instants = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001 - as above
    timezones=zones,
)


@given(instants)
def test_an_instant_comes_back_exactly(instant: datetime) -> None:
    assert moment(microseconds(instant)) == instant
    assert moment(microseconds(instant)).tzinfo is UTC


@given(instants, instants)
def test_instants_sort_as_their_numbers(one: datetime, other: datetime) -> None:
    assert (one < other) == (microseconds(one) < microseconds(other))
