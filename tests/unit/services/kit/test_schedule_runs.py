"""Processes of one service, in virtual time, at one registry."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock, deferLater
from twisted.logger import Logger, LogLevel

from balancer import ConfigError, RegistryError
from balancer.discovery import StaticRegistry
from balancer.testing import FakeRegistry
from services.kit.schedule import Always, At, Every, Job, Run, Schedule
from services.kit.schedule.runner import JITTER_MOST_S, LOOK_MOST_S, RECHECK_S
from tests.deferreds import now as fired

START = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
Work = Callable[..., Coroutine[Any, Any, None]]


class Shop:
    """A clock and a registry that several processes share, and a job that takes its time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.registry: Any = FakeRegistry()
        self.shift_s = 0.0
        self.events: list[Any] = []
        self.runs: list[tuple[str, float]] = []
        self.ended: list[str] = []
        self.lasts_s = 0.1
        self.fails = False

    def wall(self) -> datetime:
        return datetime.fromtimestamp(START + self.clock.seconds() + self.shift_s, UTC)

    def advance(self, seconds: float) -> None:
        end = self.clock.seconds() + seconds
        while due := [call for call in self.clock.getDelayedCalls() if call.getTime() <= end]:
            self.clock.advance(min(call.getTime() for call in due) - self.clock.seconds())
        self.clock.advance(end - self.clock.seconds())

    async def work(self, run: Run[str]) -> None:
        self.runs.append((run.state, run.slot.timestamp() - START))
        await deferLater(self.clock, self.lasts_s, lambda: None)
        if self.fails:
            raise RuntimeError("4111 1111 1111 1111")
        self.ended.append(run.state)

    def process(self, name: str, *jobs: Job, registry: Any = None) -> Schedule:
        schedule = Schedule(
            "shop",
            jobs or [Job(self.work, Every(10.0), on="one")],
            name,
            registry=registry or self.registry,
            holder=name,
            clock=self.clock,
            wall=self.wall,
            rng=random.Random(name),
            log=Logger("test", observer=cast("Any", self.events.append)),
        )
        schedule.start()
        schedule.contend()
        return schedule

    def warnings(self) -> list[str]:
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"] >= LogLevel.warn
        ]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def has_fired(deferred: Deferred[None]) -> bool:
    return bool(deferred.called)


def outcomes(*schedules: Schedule) -> dict[str, int]:
    total: dict[str, int] = {}
    for schedule in schedules:
        for stats in schedule.stats:
            for outcome, count in stats.runs.items():
                total[outcome] = total.get(outcome, 0) + count
    return total


def test_each_slot_is_run_by_one_of_all_processes(shop: Shop) -> None:
    processes = [shop.process(name) for name in "abc"]
    shop.advance(1000.0)
    assert len(shop.runs) == 100
    slots = [slot for _, slot in shop.runs]
    assert slots == sorted(set(slots))
    assert {name for name, _ in shop.runs} == {"a", "b", "c"}
    assert outcomes(*processes) == {"finished": 100}
    stats = processes[0].stats[0]
    assert (stats.job, stats.running, stats.blocked) == ("shop.work", False, False)
    assert stats.succeeded_at is not None
    assert START < stats.succeeded_at <= START + 1000


def test_who_is_first_and_when_is_drawn_by_lot(shop: Shop) -> None:
    begins: list[float] = []

    async def tick(run: Run[str]) -> None:
        begins.append(shop.wall().timestamp() - run.slot.timestamp())

    for name in "abc":
        shop.process(name, Job(tick, Every(10.0), on="one"))
    shop.advance(1000.0)
    assert 0.0 <= min(begins) < max(begins) <= JITTER_MOST_S + 0.01
    assert max(begins) - min(begins) > 0.3
    # The first of three draws is a quarter of the most, in the middle.
    assert 0.1 < sum(begins) / len(begins) < 0.4


def test_a_new_job_waits_for_its_next_slot_whoever_starts_when(shop: Shop) -> None:
    daily = Job(shop.work, At("12:05"), on="one")
    shop.process("a", daily)
    shop.advance(290.0)
    assert shop.runs == []
    # It was noted as known by a, so b knows what was missed although it was not there.
    shop.advance(0.0)
    fired(shop.process("b", daily).stop(0.0))
    shop.advance(15.0)
    assert [slot for _, slot in shop.runs] == [300.0]


def test_what_was_missed_while_nobody_ran_is_made_up_for_once(shop: Shop) -> None:
    first = shop.process("a")
    shop.advance(25.0)
    fired(first.stop(0.0))
    before = len(shop.runs)
    shop.advance(1000.0)
    assert len(shop.runs) == before
    shop.process("b")
    shop.advance(1.5)
    assert len(shop.runs) == before + 1
    assert shop.clock.seconds() - 10 <= shop.runs[-1][1] <= shop.clock.seconds()


def test_a_run_longer_than_the_period_has_slots_left_out(shop: Shop) -> None:
    shop.lasts_s = 25.0
    processes = [shop.process("a"), shop.process("b")]
    shop.advance(300.0)
    slots = [slot for _, slot in shop.runs]
    assert {after - before for before, after in pairwise(slots)} <= {20.0, 30.0}
    # The one that is under way at the end is not counted yet.
    assert len(shop.ended) == outcomes(*processes)["finished"] == len(shop.runs) - 1


def test_the_slot_of_a_runner_that_died_is_run_by_another(shop: Shop) -> None:
    shop.lasts_s = 5.0
    shop.process("a")
    shop.advance(11.0)
    (dead,) = shop.runs
    # The dead one's own timers must not be heard of any more.
    for call in shop.clock.getDelayedCalls():
        call.cancel()
    shop.process("b")
    shop.advance(2.0)
    assert len(shop.runs) == 1
    shop.registry.unlock("job.shop.work")
    shop.advance(LOOK_MOST_S)
    assert shop.runs[1:] == [("b", dead[1])]


def test_a_failed_run_is_tried_again_in_its_slot_and_told_without_its_words(shop: Shop) -> None:
    shop.fails = True
    process = shop.process("a", Job(shop.work, Every(3600.0), on="one"))
    while not shop.runs:
        shop.advance(1.0)
    shop.advance(20.0)
    assert 4 <= len(shop.runs) <= 5
    assert len({slot for _, slot in shop.runs}) == 1
    shop.fails = False
    shop.advance(20.0)
    assert outcomes(process)["finished"] == 1
    count = len(shop.runs)
    shop.advance(600.0)
    assert len(shop.runs) == count
    failures = [event for event in shop.events if "log_failure" in event]
    assert failures
    assert all(event["log_level"] == LogLevel.error for event in failures)
    assert not any("4111" in text for text in shop.warnings())


@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_run_that_would_end_the_process_has_failed_like_any_other(
    shop: Shop, error: BaseException
) -> None:
    """Such as one that calls somebody's command line."""

    async def work(run: Run[str]) -> None:
        shop.runs.append((run.state, run.slot.timestamp() - START))
        if run.state == "a":
            raise error

    processes = [shop.process(name, Job(work, Every(10.0), on="one")) for name in "ab"]
    shop.advance(600.0)
    assert outcomes(*processes)["failed"] > 0
    for name in "ab":
        assert max(slot for runner, slot in shop.runs if runner == name) > 500.0


def test_others_wait_with_a_failed_slot_as_well(shop: Shop) -> None:
    shop.fails = True
    for name in "abc":
        shop.process(name, Job(shop.work, Every(3600.0), on="one"))
    while not shop.runs:
        shop.advance(1.0)
    shop.advance(20.0)
    assert 4 <= len(shop.runs) <= 5


def test_a_run_whose_lock_is_lost_is_cancelled_and_leaves_no_note(shop: Shop) -> None:
    shop.lasts_s = 5.0
    process = shop.process("a")
    while not shop.runs:
        shop.advance(1.0)
    shop.registry.unlock("job.shop.work", lost=True)
    assert shop.ended == []
    assert outcomes(process) == {"lost": 1}
    assert "cancelled: the lock was lost" in shop.warnings()[-1]
    shop.advance(7.0)
    assert [slot for _, slot in shop.runs] == [shop.runs[0][1]] * 2
    assert shop.ended == ["a"]


def test_a_run_that_outlasts_its_limit_has_failed(shop: Shop) -> None:
    shop.lasts_s = 1e6
    process = shop.process("a", Job(shop.work, Every(3600.0), on="one", limit_s=50.0))
    while not shop.runs:
        shop.advance(1.0)
    shop.advance(50.0)
    assert outcomes(process) == {"failed": 1}
    assert "its limit" in shop.warnings()[-1]
    shop.advance(2.0)
    assert len(shop.runs) == 2


class Gone(FakeRegistry):
    """A registry that can be out of reach."""

    gone = False

    def lock(self, name: str, holder: str) -> Deferred[Any]:
        if self.gone:
            return fail(RegistryError("the registry is gone"))
        return super().lock(name, holder)


def test_while_the_registry_is_lost_only_what_needs_no_lock_is_run(shop: Shop) -> None:
    shop.registry = Gone()
    own: list[str] = []

    async def tidy() -> None:
        own.append("tidied")

    jobs = [Job(shop.work, Every(10.0), on="one"), Job(tidy, Every(10.0), on="each")]
    process = shop.process("a", *jobs)
    shop.advance(30.0)
    shop.registry.gone = True
    before = len(shop.runs)
    shop.advance(100.0)
    assert len(shop.runs) == before
    assert len(own) in (12, 13)
    assert [stats.blocked for stats in process.stats] == [True, False]
    # Said once, however long it takes.
    assert len([text for text in shop.warnings() if "the registry is gone" in text]) == 1
    shop.registry.gone = False
    shop.advance(10.0)
    assert before < len(shop.runs) <= before + 2
    assert not process.stats[0].blocked


def test_a_registry_without_locks_is_told_once(shop: Shop) -> None:
    registry = StaticRegistry([])
    shop.process("a", registry=registry)
    shop.advance(100.0)
    assert shop.runs == []
    (text,) = shop.warnings()
    assert "shop.work is not run" in text
    assert "keeps no locks" in text
    assert "use a registry such as" in text


def test_a_registry_that_fails_as_nobody_foresaw_does_not_end_a_job(shop: Shop) -> None:
    class Faulty(FakeRegistry):
        asked = 0

        def lock(self, name: str, holder: str) -> Deferred[Any]:
            self.asked += 1
            if self.asked % 2:
                raise ZeroDivisionError
            return super().lock(name, holder)

    shop.registry = Faulty()
    shop.process("a")
    shop.advance(100.0)
    assert len(shop.runs) in (9, 10)
    assert any("could not be used" in text for text in shop.warnings())


def test_a_registry_that_was_emptied_costs_no_slot_twice(shop: Shop) -> None:
    processes = [shop.process(name) for name in "ab"]
    shop.advance(95.0)
    shop.registry._notes.clear()
    shop.advance(100.0)
    slots = [slot for _, slot in shop.runs]
    assert len(slots) == len(set(slots))
    assert outcomes(*processes)["finished"] in (19, 20)


def test_a_slot_whose_end_could_not_be_told_is_not_run_again_by_who_knows(shop: Shop) -> None:
    class Forgetful(FakeRegistry):
        def lock(self, name: str, holder: str) -> Deferred[Any]:
            def spoilt(lock: Any) -> Any:
                release = lock.release

                def give_back(note: str | None = None) -> Deferred[None]:
                    release(None)
                    return succeed(None) if note is None else fail(RegistryError("lost"))

                lock.release = give_back
                return lock

            return super().lock(name, holder).addCallback(spoilt)

    shop.registry = Forgetful()
    shop.process("a")
    shop.advance(105.0)
    slots = [slot for _, slot in shop.runs]
    assert len(slots) in (10, 11)
    assert len(slots) == len(set(slots))
    assert any("may be run for the same time again" in text for text in shop.warnings())


@pytest.mark.parametrize("step_s", [-40.0, -5.0, 5.0, 40.0, 3600.0, -3600.0])
def test_a_step_of_the_wall_clock_costs_no_more_than_two_periods(shop: Shop, step_s: float) -> None:
    for name in "ab":
        shop.process(name)
    shop.advance(100.0)
    count = len(shop.runs)
    shop.shift_s += step_s
    shop.advance(32.0)
    assert len(shop.runs) > count
    shop.advance(100.0)
    assert 11 <= len(shop.runs) - count <= 14


def test_a_step_over_a_time_of_day_is_noticed_at_once(shop: Shop) -> None:
    shop.process("a", Job(shop.work, At("18:00"), on="one"))
    shop.advance(60.0)
    shop.shift_s = 6 * 3600.0
    shop.advance(RECHECK_S + 2.0)
    assert [slot for _, slot in shop.runs] == [6 * 3600.0]
    shop.shift_s = 6 * 3600.0 - 600.0
    shop.advance(1200.0)
    assert len(shop.runs) == 1


def test_a_process_that_leaves_lets_its_run_end_and_begins_none(shop: Shop) -> None:
    shop.lasts_s = 5.0
    leaving = shop.process("a")
    while not shop.runs:
        shop.advance(0.5)
    gone = leaving.withdraw(30.0)
    assert not has_fired(gone)
    shop.advance(5.0)
    assert has_fired(gone)
    assert shop.ended == ["a"]
    shop.process("b")
    shop.advance(100.0)
    assert [name for name, _ in shop.runs].count("a") == 1
    assert len({slot for _, slot in shop.runs}) == len(shop.runs)


def test_a_run_that_outlasts_the_drain_is_cancelled_and_taken_over(shop: Shop) -> None:
    shop.lasts_s = 50.0
    job = Job(shop.work, Every(600.0), on="one")
    leaving = shop.process("a", job)
    while not shop.runs:
        shop.advance(1.0)
    gone = leaving.stop(30.0)
    shop.process("b", job)
    shop.advance(29.0)
    assert not has_fired(gone)
    assert len(shop.runs) == 1
    shop.advance(1.0)
    assert has_fired(gone)
    assert outcomes(leaving) == {"stopped": 1}
    shop.advance(LOOK_MOST_S + 50.0)
    assert shop.runs[1:] == [("b", shop.runs[0][1])]
    assert shop.ended == ["b"]


def test_a_job_that_will_not_be_cancelled_does_not_keep_the_process(shop: Shop) -> None:
    never: Deferred[None] = Deferred(lambda _: None)

    async def stubborn() -> None:
        while True:
            try:
                await Deferred[None]()
            except CancelledError:
                await never

    process = shop.process("a", Job(stubborn, Every(1.0), on="each"))
    shop.advance(3.0)
    gone = process.stop(2.0)
    shop.advance(2.9)
    assert not has_fired(gone)
    shop.advance(0.2)
    assert has_fired(gone)
    # End it, or its collection would be told as a failure.
    never.callback(None)


@pytest.mark.parametrize("after_s", [0.0, 0.05, 3.0, 12.0])
def test_stopping_leaves_nothing_behind(shop: Shop, after_s: float) -> None:
    process = shop.process("a")
    shop.advance(after_s)
    gone = [process.withdraw(0.0), process.stop(0.0), process.stop(0.0)]
    shop.advance(2.0)
    assert all(deferred.called for deferred in gone)
    assert shop.clock.getDelayedCalls() == []
    assert fired(shop.registry.lock("job.shop.work", "x")) is not None
    process.contend()
    assert shop.clock.getDelayedCalls() == []


def test_a_lock_that_comes_after_the_leaving_is_given_back(shop: Shop) -> None:
    asked: list[Deferred[Any]] = []

    class Slow(FakeRegistry):
        def lock(self, name: str, holder: str) -> Deferred[Any]:
            asked.append(Deferred())
            return asked[-1].addCallback(lambda _: FakeRegistry.lock(self, name, holder))

    shop.registry = Slow()
    process = shop.process("a")
    shop.advance(2.0)
    gone = process.stop(30.0)
    assert not has_fired(gone)
    asked[0].callback(None)
    assert has_fired(gone)
    assert shop.registry._locks == {}
    assert shop.clock.getDelayedCalls() == []


def test_those_that_stand_by_run_only_what_is_their_own(shop: Shop) -> None:
    own: list[str] = []

    async def tidy(run: Run[str]) -> None:
        own.append(run.state)

    jobs = [Job(shop.work, Every(10.0), on="one"), Job(tidy, Every(10.0), on="each")]
    standby = Schedule(
        "shop",
        jobs,
        "a",
        registry=shop.registry,
        holder="a",
        clock=shop.clock,
        wall=shop.wall,
        rng=random.Random(1),
        log=Logger("test", observer=cast("Any", shop.events.append)),
    )
    standby.start()
    shop.advance(100.0)
    assert shop.runs == []
    assert len(own) in (9, 10)
    standby.contend()
    shop.advance(20.0)
    assert shop.runs
    standby.withdraw(0.0)
    shop.advance(20.0)
    runs, tidied = len(shop.runs), len(own)
    shop.advance(50.0)
    assert len(shop.runs) == runs
    assert len(own) == tidied + 5


def test_each_process_has_a_phase_of_its_own_for_what_each_does(shop: Shop) -> None:
    when: dict[str, float] = {}

    async def tidy(run: Run[str]) -> None:
        when[run.state] = shop.clock.seconds()

    for name in "abcd":
        shop.process(name, Job(tidy, Every(10.0), on="each"))
    shop.advance(25.0)
    assert len({round(moment % 10, 2) for moment in when.values()}) == 4


def test_a_job_never_overlaps_itself_in_one_process(shop: Shop) -> None:
    shop.lasts_s = 25.0
    shop.process("a", Job(shop.work, Every(10.0), on="each"))
    shop.advance(300.0)
    assert 10 <= len(shop.runs) <= 12
    assert len(shop.runs) - len(shop.ended) <= 1


def test_a_daemon_runs_in_one_process_and_in_another_when_that_one_leaves(shop: Shop) -> None:
    shop.lasts_s = 1e9
    job = Job(shop.work, Always(), on="one", limit_s=None, is_daemon=True)
    processes = {name: shop.process(name, job) for name in "abc"}
    shop.advance(20_000.0)
    ((first, _),) = shop.runs
    gone = processes[first].stop(30.0)
    # A daemon does not end by itself, so it is not waited for.
    shop.advance(0.0)
    assert has_fired(gone)
    shop.advance(LOOK_MOST_S)
    assert len(shop.runs) == 2
    assert shop.runs[1][0] != first


def test_a_daemon_that_ends_is_run_again_ever_more_seldom(shop: Shop) -> None:
    shop.lasts_s = 0.0
    job = Job(shop.work, Always(), on="one", limit_s=None, is_daemon=True)
    shop.process("a", job)
    shop.process("b", job)
    shop.advance(40.0)
    # At about 0, 1, 3, 7, 15 and 31 s.
    assert len(shop.runs) == 6


def test_runs_are_logged_where_they_are_few(shop: Shop) -> None:
    shop.process("a", Job(shop.work, Every(59.0), on="one", name="often"))
    shop.process("a", Job(shop.work, At("12:10"), on="one", name="seldom"))
    shop.advance(3600.0)
    told = [event["log_format"].format(**event) for event in shop.events]
    assert told == ["the job shop.seldom runs", "the job shop.seldom has ended after 0.1 s"]


def test_two_jobs_of_one_name_are_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError, match=r"two jobs are named shop\.work"):
        shop.process("a", *[Job(shop.work, Every(1.0), on="each")] * 2)
