"""The sweep in virtual time: never early, at most a tick late, whatever entries do meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from balancer.transport import Sweep

TICK_S = 0.01
# The clock may be rounded away from a tick's edge, and then the tick is a hundredth late.
LATE_S = TICK_S * 1.02


class Entry:
    def __init__(self, clock: Clock, instant: float) -> None:
        self.due = 0
        self.instant = instant
        self.told: list[float] = []
        self._clock = clock

    def expired(self, now: float) -> None:
        assert self.due == 0
        assert now == self._clock.seconds()
        self.told.append(now)


class Calls(Entry):
    """Does something when its instant comes."""

    def __init__(self, clock: Clock, instant: float, function: object) -> None:
        super().__init__(clock, instant)
        self._function = function

    def expired(self, now: float) -> None:
        super().expired(now)
        assert callable(self._function)
        self._function()


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(1000.0)
    return clock


def _run(clock: Clock, seconds: float, step: float = 0.001) -> None:
    for _ in range(round(seconds / step)):
        clock.advance(step)


@given(
    st.floats(0, 10_000),
    st.lists(st.tuples(st.floats(0, 0.2), st.floats(-0.05, 0.3)), max_size=12),
    st.floats(0.0003, 0.004),
)
@settings(max_examples=100, deadline=None)
def test_never_early_and_at_most_a_tick_late(
    start: float, adds: list[tuple[float, float]], step: float
) -> None:
    clock = Clock()
    clock.advance(start)
    sweep = Sweep(clock, TICK_S)
    entries: list[tuple[float, Entry]] = []

    def add(left_s: float) -> None:
        entry = Entry(clock, clock.seconds() + left_s)
        entries.append((clock.seconds(), entry))
        sweep.add(entry, entry.instant)

    for wait_s, left_s in adds:
        clock.callLater(wait_s, add, left_s)
    _run(clock, 0.6, step)
    assert len(entries) == len(adds)
    for added, entry in entries:
        (told,) = entry.told
        assert told >= entry.instant
        assert told <= max(entry.instant, added) + LATE_S + step + 1e-9
    # It ticks only while it has entries.
    assert clock.getDelayedCalls() == []


def test_an_instant_that_is_past_already(clock: Clock) -> None:
    sweep = Sweep(clock, TICK_S)
    for past_s in (0.0, 0.001, TICK_S, 1.0, 999.0, 5000.0):
        entry = Entry(clock, clock.seconds() - past_s)
        sweep.add(entry, entry.instant)
        _run(clock, 0.02)
        assert len(entry.told) == 1, past_s
        _run(clock, 0.05)


def test_a_removed_entry_is_not_told(clock: Clock) -> None:
    sweep = Sweep(clock, TICK_S)
    entry, other = Entry(clock, clock.seconds() + 0.05), Entry(clock, clock.seconds() + 0.05)
    sweep.remove(entry)  # harmless: it lies in none
    sweep.add(entry, entry.instant)
    sweep.add(other, other.instant)
    sweep.remove(entry)
    sweep.remove(entry)
    _run(clock, 0.1)
    assert (entry.told, len(other.told)) == ([], 1)
    sweep.add(entry, clock.seconds() + 0.05)
    _run(clock, 0.1)
    assert len(entry.told) == 1


def test_entries_may_do_anything_when_told(clock: Clock) -> None:
    sweep = Sweep(clock, TICK_S)
    instant = clock.seconds() + 0.05
    victim = Entry(clock, instant)
    later = Entry(clock, instant)
    again: list[Calls] = []

    def renew() -> None:
        if len(again[0].told) < 3:
            sweep.add(again[0], clock.seconds())

    again.append(Calls(clock, instant, renew))

    def act() -> None:
        sweep.remove(victim)
        sweep.add(later, clock.seconds() + 0.05)

    for entry in (Calls(clock, instant, act), victim, again[0]):
        sweep.add(entry, instant)
    _run(clock, 0.2)
    assert victim.told == []
    assert len(later.told) == 1
    first, second, third = again[0].told
    assert first < second < third


def test_an_entry_that_fails_costs_only_itself(clock: Clock) -> None:
    sweep = Sweep(clock, TICK_S)
    logged: list[Any] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        logged.append(event)

    def fail() -> None:
        raise RuntimeError("on purpose")

    entries = [Calls(clock, 0, fail), Entry(clock, 0), Calls(clock, 0, fail), Entry(clock, 0)]
    for entry in entries:
        sweep.add(entry, clock.seconds() + 0.01)
    globalLogPublisher.addObserver(observe)
    try:
        _run(clock, 0.05)
    finally:
        globalLogPublisher.removeObserver(observe)
    assert [len(entry.told) for entry in entries] == [1, 1, 1, 1]
    assert len(logged) == 2


def test_a_pause_of_the_process_loses_nobody(clock: Clock) -> None:
    sweep = Sweep(clock, TICK_S)
    start = clock.seconds()
    entries = [Entry(clock, start + 0.003 * number) for number in range(2000)]
    told: list[float] = []
    for entry in entries:
        sweep.add(entry, entry.instant)
    _run(clock, 0.1)
    clock.advance(100.0)
    _run(clock, 0.05)
    assert all(len(entry.told) == 1 for entry in entries)
    told = [entry.told[0] for entry in entries]
    assert told == sorted(told)


def test_many_entries_share_a_delayed_call(clock: Clock) -> None:
    sweep = Sweep(clock, TICK_S)
    for number in range(1000):
        sweep.add(Entry(clock, 0), clock.seconds() + number / 100)
    assert len(clock.getDelayedCalls()) == 1


def test_what_was_removed_leaves_nothing_behind(clock: Clock) -> None:
    """An idle process must not be woken a hundred times a second for entries that are gone."""
    sweep = Sweep(clock, TICK_S)
    for number in range(1000):
        entry = Entry(clock, clock.seconds() + 60 + number)
        sweep.add(entry, entry.instant)
        sweep.remove(entry)
    _run(clock, 3 * TICK_S)
    assert clock.getDelayedCalls() == []


def test_after_a_pause_of_this_process_the_sockets_are_read_first() -> None:
    clock = Clock()
    sweep = Sweep(clock, TICK_S)
    entry = Entry(clock, 0.1)
    sweep.add(entry, 0.1)
    clock.rightNow = 0.6  # the process was held up, and what came meanwhile lies unread
    # A reactor's turn: timers, then sockets.
    tick = clock.calls.pop()
    tick.func()
    assert not entry.told
    (again,) = clock.getDelayedCalls()
    assert again.getTime() == 0.6
    clock.rightNow = 0.8  # it makes way once, however long that takes
    clock.advance(0)
    assert entry.told == [0.8]
