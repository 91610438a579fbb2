from __future__ import annotations

import pytest

from services.kit.schedule import Always, Every
from services.kit.schedule.turn import (
    RETRY_MOST_S,
    Due,
    Later,
    Note,
    after_failure,
    after_success,
    decide,
    read_note,
)

TABLE = Every(60.0)


def test_a_slot_is_due_until_it_is_done() -> None:
    note = Note(done=60.0)
    assert decide(TABLE, note, 119.0) == Later(120.0)
    assert decide(TABLE, note, 120.0) == Due(120.0)
    assert decide(TABLE, note, 179.0) == Due(120.0)
    assert decide(TABLE, after_success(120.0, "a"), 179.0) == Later(180.0)


def test_slots_that_were_missed_are_one() -> None:
    assert decide(TABLE, Note(done=60.0), 6_010.0) == Due(6_000.0)
    assert decide(TABLE, after_success(6_000.0, "a"), 6_010.0) == Later(6_060.0)


def test_a_clock_that_is_a_little_behind_believes_the_one_before() -> None:
    assert decide(TABLE, Note(done=180.0), 179.0) == Later(240.0)


def test_a_clock_that_was_set_back_does_not_wait_for_years() -> None:
    assert decide(TABLE, Note(done=1e9), 179.0) == Due(120.0)
    assert decide(TABLE, after_success(120.0, "a"), 179.0) == Later(180.0)
    failed = after_failure(Note(done=300.0), 120.0, 130.0, 0.1)
    assert decide(TABLE, failed, 250.0) == Due(240.0)


def test_failures_are_tried_again_ever_more_seldom_and_at_the_next_slot_at_once() -> None:
    note, day = Note(done=0.0), Every(86_400.0)
    waits: list[float] = []
    now = 86_400.0
    while not waits or waits[-1] < RETRY_MOST_S:
        note = after_failure(note, 86_400.0, now, 0.1)
        waits.append(note.again - now)
        assert decide(day, note, now) == Later(note.again)
        assert decide(day, note, note.again) == Due(86_400.0)
        now = note.again
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert after_failure(note, 86_400.0, now, 0.1).again == now + RETRY_MOST_S
    assert decide(day, note, 2 * 86_400.0) == Due(2 * 86_400.0)
    assert decide(TABLE, Note(done=0.0, failed=60.0, failures=9, again=300.0), 61.0) == Later(120.0)
    # Another slot's failures begin anew.
    assert after_failure(note, 2 * 86_400.0, now, 0.1).failures == 1


def test_a_failure_noted_by_a_clock_that_was_set_back_is_tried_again() -> None:
    note = Note(done=0.0, failed=60.0, failures=3, again=1e9)
    assert decide(TABLE, note, 61.0) == Due(60.0)


def test_a_daemon_that_lived_long_is_run_again_soon() -> None:
    note = Note(done=-1.0, failed=0.0, failures=9, again=0.0)
    assert after_failure(note, 0.0, 1000.0, RETRY_MOST_S).again == 1001.0
    assert after_failure(note, 0.0, 1000.0, 1.0).again == 1000.0 + 300.0
    assert decide(Always(), after_failure(note, 0.0, 1000.0, 1.0), 1299.0) == Later(1300.0)


def test_a_note_is_read_as_it_was_left() -> None:
    for note in (Note(done=1763.25), Note(done=1.0, by="a.1", failed=2.0, failures=3, again=4.5)):
        assert read_note(note.text()) == note
    assert len(Note(done=1e10 / 3, by="x" * 200, failed=1e10 / 7, again=1e10 / 9).text()) < 4096


@pytest.mark.parametrize(
    "text",
    ["", "{}", "null", '{"done": "x"}', '{"done": 1', '{"more":' + "[" * 100_000, "\ud800"],
    ids=lambda text: repr(text[:12]),
)
def test_a_note_of_another_kind_is_none(text: str) -> None:
    assert read_note(text) is None
