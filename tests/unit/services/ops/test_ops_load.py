"""The schedule, the loop and the counting of a load, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from balancer import DeadlineExceeded, Rejected
from services.ops.load.live import progress_line
from services.ops.load.openloop import OpenLoop
from services.ops.load.schedule import Schedule
from services.ops.load.tally import Tally, shares


def fired(deferred: Deferred[Any]) -> bool:
    """Asked through a function: mypy would take one answer for all that follow."""
    return deferred.called


def loop(
    clock: Clock, schedule: Schedule, start: Callable[[], Deferred[Any]], tally: Tally
) -> OpenLoop:
    return OpenLoop(
        clock=clock, schedule=schedule, start=start, tally=tally, each_tick=lambda: None
    )


def advance(clock: Clock, seconds: float, step_s: float = 0.001) -> None:
    clock.pump([step_s] * round(seconds / step_s))


@given(st.floats(0.01, 50_000), st.floats(0.001, 100))
def test_no_call_is_due_before_its_instant(rate: float, duration_s: float) -> None:
    schedule = Schedule(rate, duration_s)
    assert schedule.total >= 1
    for elapsed in (0.0, duration_s / 3, duration_s):
        due = schedule.due(elapsed)
        assert 1 <= due <= schedule.total
        assert schedule.instant(due - 1) <= elapsed + 1e-9 * max(1.0, elapsed)


def test_calls_begin_on_schedule_whatever_the_answers_do() -> None:
    clock, tally = Clock(), Tally()
    answers: list[Deferred[None]] = []

    def start() -> Deferred[None]:
        answers.append(Deferred())
        return answers[-1]

    running = loop(clock, Schedule(100, 1), start, tally)
    done = running.run()
    advance(clock, 0.5)
    assert len(answers) == pytest.approx(50, abs=1)
    advance(clock, 0.6)
    assert len(answers) == 100
    assert tally.calls == 0
    assert not fired(done)
    for answer in answers:
        answer.callback(None)
    assert fired(done)
    assert tally.calls == 100


def test_latency_counts_from_the_instant_at_which_a_call_was_due() -> None:
    clock, tally = Clock(), Tally()
    running = loop(clock, Schedule(1000, 1), lambda: succeed(None), tally)
    done = running.run()
    # The process stands still for half a second, then goes on.
    clock.advance(0.5)
    advance(clock, 0.6)
    assert fired(done)
    assert tally.calls == 1000
    # Half of the calls were due while it stood still, the first of them half a second ago.
    assert tally.latency_s.greatest == pytest.approx(0.499, abs=0.002)
    assert tally.percentile_ms(0.75) == pytest.approx(250, rel=0.1)


def test_a_high_rate_is_kept_in_small_ticks() -> None:
    clock, tally = Clock(), Tally()
    running = loop(clock, Schedule(20_000, 1), lambda: succeed(None), tally)
    done = running.run()
    advance(clock, 1.01)
    assert fired(done)
    assert tally.calls == 20_000
    assert tally.latency_s.greatest < 0.003


def test_a_slow_rate_wakes_only_when_a_call_is_due() -> None:
    clock, ticks = Clock(), []
    running = OpenLoop(
        clock=clock,
        schedule=Schedule(1, 3),
        start=lambda: succeed(None),
        tally=Tally(),
        each_tick=lambda: ticks.append(clock.seconds()),
    )
    running.run()
    advance(clock, 3)
    assert len(ticks) <= 5


def test_an_early_end_waits_for_what_runs() -> None:
    clock, tally = Clock(), Tally()
    answers: list[Deferred[None]] = []

    def start() -> Deferred[None]:
        answers.append(Deferred())
        return answers[-1]

    running = loop(clock, Schedule(100, 10), start, tally)
    done = running.run()
    advance(clock, 0.1)
    running.end_early()
    begun = len(answers)
    advance(clock, 1)
    assert len(answers) == begun
    assert not fired(done)
    for answer in answers:
        answer.callback(None)
    assert fired(done)
    running.end_early()


def test_errors_are_told_apart() -> None:
    clock, tally = Clock(), Tally()
    errors = [
        Rejected("no", status=404, type="not-found"),
        DeadlineExceeded("late"),
        DeadlineExceeded("late"),
        KeyError("a fault of ours"),
    ]
    running = loop(clock, Schedule(4, 1), lambda: fail(errors.pop(0)), tally)
    running.run()
    advance(clock, 1)
    report = tally.report(seconds=1.0, attempts=5, replicas={"a:1": 5})
    assert (report.calls, report.failed, report.rejected) == (4, 3, 1)
    assert report.errors == {"deadline": 2, "not-found": 1, "KeyError": 1}


def test_the_report_has_the_fields_that_others_read() -> None:
    report = Tally().report(seconds=0.0, attempts=0, replicas={})
    assert list(msgspec.to_builtins(report)) == [
        "calls", "failed", "rejected", "degraded", "attempts", "seconds",
        "p50_ms", "p90_ms", "p99_ms", "p999_ms", "replicas", "errors",
    ]  # fmt: skip


def test_a_replica_and_its_successor_at_one_address_are_one() -> None:
    assert shares([("b:1", 2), ("a:1", 1), ("b:1", 3)]) == {"a:1": 1, "b:1": 5}


def test_the_progress_is_one_line() -> None:
    tally = Tally()
    tally.answered(0.01)
    line = progress_line(tally, 1234.5)
    assert line.startswith("1,234/s, 0 failed, 0 rejected, p50 ")
    assert "\n" not in line
