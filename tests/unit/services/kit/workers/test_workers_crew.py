"""Starts, reloads, deaths and ends of workers, in virtual time with processes that are none."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from services.kit.workers.crew import Crew, NotStarted
from services.kit.workers.member import Member, State
from services.kit.workers.messages import (
    Ask,
    CannotStart,
    Contend,
    Drain,
    Heard,
    Ready,
    Relieve,
    Serve,
    Told,
    TooLong,
    ToWorker,
)
from services.kit.workers.settings import WorkersSettings
from services.kit.workers.totals import Family

COUNTED = [Family("calls", "Calls.", "counter", [("calls_total", {}, 1.0)])]


class Process:
    """Takes the place of a worker's process: answers at once, and leaves when it is told to."""

    def __init__(
        self,
        number: int,
        heard: Callable[[Heard], None],
        ended: Callable[[str, bool], None],
    ) -> None:
        self.number = number
        self.pid = 100 + number
        self.told: list[ToWorker] = []
        self.frozen = False
        self.stubborn = False
        self.silent = False
        self.over = False
        self._heard = heard
        self._ended = ended

    def say(self, message: Heard) -> None:
        self._heard(message)

    def tell(self, message: ToWorker) -> None:
        if self.over or self.frozen:
            return
        self.told.append(message)
        if isinstance(message, Ask) and not self.silent:
            self.say(Told(message.number, COUNTED))
        elif isinstance(message, Drain) and not self.stubborn:
            self.end("ended with status 0", clean=True)

    def terminate(self) -> None:
        self.end("was killed by signal 15", clean=False)

    def kill(self) -> None:
        self.end("was killed by signal 9", clean=False)

    def end(self, how: str, *, clean: bool = False) -> None:
        if not self.over:
            self.over = True
            self._ended(how, clean)

    @property
    def serves(self) -> bool:
        return not self.over and any(isinstance(message, Serve) for message in self.told)


class World:
    """A machine as far as a crew sees it."""

    def __init__(self, size: int = 2, **settings: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.started: list[Process] = []
        self.ended: list[Member] = []
        self.changes = 0
        self.fault: OSError | None = None
        self.results: list[Any] = []
        self.crew = Crew(
            size,
            WorkersSettings(**settings),
            clock=self.clock,
            launch=self._launch,
            on_end=self.ended.append,
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    def _launch(
        self, number: int, heard: Callable[[Heard], None], ended: Callable[[str, bool], None]
    ) -> Process:
        if self.fault is not None:
            raise self.fault
        process = Process(number, heard, ended)
        self.started.append(process)
        return process

    def start(self) -> None:
        self.crew.start().addBoth(self.results.append)

    def reload(self, **settings: Any) -> list[bool]:
        done: list[bool] = []
        self.crew.reload(WorkersSettings(**settings)).addCallback(done.append)
        return done

    def leave(self) -> list[bool]:
        done: list[bool] = []
        self.crew.leave(30.0).addCallback(done.append)
        return done

    def serving(self) -> list[int]:
        return [process.number for process in self.started if process.serves]

    def advance(self, seconds: float) -> None:
        self.clock.pump([0.25] * round(seconds / 0.25))


@pytest.fixture
def world() -> World:
    """Two workers that serve."""
    made = World()
    made.start()
    for process in made.started:
        process.say(Ready())
    made.crew.serve(contend=True)
    return made


def test_nobody_serves_before_all_could() -> None:
    world = World()
    world.start()
    world.started[0].say(Ready())
    assert world.results == []
    world.started[1].say(Ready())
    assert world.results == [None]
    assert world.serving() == []
    world.crew.serve(contend=False)
    assert world.serving() == [1, 2]
    assert world.started[0].told[-1] == Serve(contend=False)


def test_a_start_fails_with_the_first_worker_that_ends() -> None:
    world = World()
    world.start()
    world.started[1].say(CannotStart("cannot start: the store is locked"))
    world.started[1].end("ended with status 1")
    [failure] = world.results
    failure.trap(NotStarted)
    assert failure.getErrorMessage() == "worker 2 cannot start: the store is locked"
    assert world.leave() == [True]
    assert world.clock.getDelayedCalls() == []


def test_a_dead_worker_is_replaced_after_longer_and_longer_waits() -> None:
    world = World(restart_first_s=1.0, restart_most_s=4.0)
    world.start()
    for process in world.started:
        process.say(Ready())
    world.crew.serve(contend=True)
    for wait_s in (1.0, 2.0, 4.0, 4.0):
        count = len(world.started)
        world.started[-1].end("was killed by signal 9")
        world.advance(wait_s - 0.25)
        assert len(world.started) == count
        world.advance(0.25)
        assert len(world.started) == count + 1
        world.started[-1].say(Ready())
        assert world.serving() == [1, world.started[-1].number]
    assert world.crew.restarts == 4
    assert len(world.ended) == 4


def test_a_replacement_that_the_machine_refuses_is_tried_again(world: World) -> None:
    world.fault = OSError(errno.EAGAIN, "no more processes")
    world.started[0].end("was killed by signal 9")
    world.advance(1.0)
    assert len(world.started) == 2
    world.fault = None
    world.advance(2.0)
    assert len(world.started) == 3


def test_a_reload_replaces_all_when_all_are_ready(world: World) -> None:
    done = world.reload()
    assert [process.number for process in world.started] == [1, 2, 3, 4]
    world.started[2].say(Ready())
    assert world.serving() == [1, 2]
    assert done == []
    world.started[3].say(Ready())
    assert world.serving() == [3, 4]
    assert done == [True]
    # Nobody is told that the replica leaves, and no idle connection is closed for long.
    assert world.started[0].told[-1] == Drain(90.0, 90.0, leaving=False)
    assert world.crew.restarts == 0


@pytest.mark.parametrize("how", ["dies", "hangs", "cannot be started"])
def test_a_reload_that_fails_leaves_the_old_ones(world: World, how: str) -> None:
    if how == "cannot be started":
        world.fault = OSError(errno.ENOMEM, "no memory")
    done = world.reload(ready_s=5.0)
    if how == "cannot be started":
        world.advance(0.25)
        world.fault = None
    else:
        world.started[2].say(Ready())
        if how == "dies":
            world.started[3].end("ended with status 1")
        else:
            world.advance(5.0)
    assert done == [False]
    assert world.serving() == [1, 2]
    assert all(process.over for process in world.started[2:])
    # The next one may go well.
    again = world.reload()
    for process in world.started:
        if not process.over:
            process.say(Ready())
    assert again == [True]
    assert len(world.serving()) == 2


def test_a_second_reload_waits_for_the_first(world: World) -> None:
    first = world.reload()
    second = world.reload()
    assert len(world.started) == 4
    for process in world.started[2:4]:
        process.stubborn = True
        process.say(Ready())
    assert len(world.started) == 6
    assert (first, second) == ([], [])
    for process in world.started[4:6]:
        process.say(Ready())
    assert world.serving()[-2:] == [5, 6]
    assert (first, second) == ([True], [True])


def test_old_workers_hurry_when_the_next_reload_comes(world: World) -> None:
    for process in world.started:
        process.stubborn = True
    world.reload()
    for process in world.started[2:]:
        process.say(Ready())
    world.reload()
    drain = world.started[0].told[-1]
    assert isinstance(drain, Drain)
    assert drain.idle_s == 2.0
    assert drain.wait_s == 90.0  # what runs is not cut


def test_an_old_worker_that_dies_during_a_reload_is_replaced_if_that_fails(world: World) -> None:
    world.reload()
    world.started[0].end("was killed by signal 9")
    world.started[2].end("ended with status 1")
    world.advance(0.5)
    world.started[-1].say(Ready())
    assert len(world.serving()) == 2


def test_an_old_worker_that_died_during_a_reload_does_not_come_again(world: World) -> None:
    world.reload()
    world.started[0].end("was killed by signal 9")
    for process in world.started[2:]:
        process.say(Ready())
    world.advance(60.0)
    assert len(world.started) == 4


def test_an_end_during_a_reload_ends_all(world: World) -> None:
    done = world.reload()
    world.started[2].say(Ready())
    left = world.leave()
    assert left == [True]
    assert done == [False]
    assert all(process.over for process in world.started)
    assert world.clock.getDelayedCalls() == []


def test_an_end_while_a_replacement_is_awaited_starts_nobody(world: World) -> None:
    world.started[0].end("was killed by signal 9")
    assert world.leave() == [True]
    world.advance(60.0)
    assert len(world.started) == 2


def test_an_end_waits_for_nobody_who_only_starts(world: World) -> None:
    """One that cannot read yet keeps the port open, and callers would wait at it for nobody."""
    world.reload()
    for process in world.started[2:]:
        process.frozen = True
    assert world.leave() == [True]
    assert all(process.over for process in world.started)


def test_one_that_starts_is_not_told_to_contend(world: World) -> None:
    world.crew.serve(contend=False)
    world.reload()
    world.crew.contend()
    told = [any(isinstance(each, Contend) for each in p.told) for p in world.started]
    assert told == [True, True, False, False]
    for process in world.started[2:]:
        process.say(Ready())
    serving = [each for each in world.started[2].told if isinstance(each, Serve)]
    assert [each.contend for each in serving] == [True]


def test_one_that_was_told_to_leave_serves_until_another_has_its_place(world: World) -> None:
    old = world.started[0]
    old.say(Relieve())
    old.say(Relieve())
    assert len(world.started) == 3
    assert world.serving() == [1, 2]
    world.started[2].say(Ready())
    assert old.over
    assert world.serving() == [2, 3]
    assert world.crew.restarts == 0
    world.advance(60.0)
    assert len(world.started) == 3


def test_the_only_one_that_is_told_to_leave_leaves_no_gap() -> None:
    world = World(size=1)
    world.start()
    world.started[0].say(Ready())
    world.crew.serve(contend=True)
    world.started[0].say(Relieve())
    world.started[1].end("ended with status 1")
    assert world.serving() == [1]
    world.advance(1.0)
    world.started[2].say(Ready())
    assert world.serving() == [3]
    assert [member.number for member in world.crew] == [3]


def test_one_that_dies_before_another_has_its_place_is_replaced_once(world: World) -> None:
    world.started[0].say(Relieve())
    world.started[0].end("was killed by signal 9")
    world.started[2].say(Ready())
    world.advance(60.0)
    assert world.serving() == [2, 3]
    assert len(world.started) == 3


@pytest.mark.parametrize("asked_before", [False, True])
def test_one_that_does_not_wait_counts_no_more(world: World, asked_before: bool) -> None:
    old = world.started[0]
    old.stubborn = True  # callers keep it for a while
    if asked_before:
        old.say(Relieve())
    changes = world.changes
    old.say(Relieve(waits=False))
    assert [member.number for member in world.crew if member.serves] == [2]
    assert world.changes == changes + 1
    assert len(world.started) == 3
    world.started[2].say(Ready())
    assert [member.number for member in world.crew if member.serves] == [2, 3]
    world.advance(100.0)
    assert old.over
    assert len(world.started) == 3


def test_a_reload_relieves_who_was_told_to_leave_as_well(world: World) -> None:
    world.started[0].say(Relieve())
    done = world.reload()
    assert len(world.started) == 5
    for process in world.started[3:]:
        process.say(Ready())
    assert done == [True]
    assert world.serving() == [4, 5]
    assert all(process.over for process in world.started[:3])
    world.advance(60.0)
    assert len(world.started) == 5


def test_one_that_does_not_leave_is_killed_and_that_is_no_good_order(world: World) -> None:
    world.started[0].stubborn = True
    left = world.leave()
    world.advance(34.0)
    assert left == []
    world.advance(3.0)
    assert left == [False]


def test_a_silent_worker_is_killed_and_replaced() -> None:
    world = World(hang_s=4.0)
    world.start()
    for process in world.started:
        process.say(Ready())
    world.crew.serve(contend=True)
    world.advance(3.0)
    world.started[0].frozen = True
    world.advance(3.5)
    assert world.ended == []
    world.advance(3.0)
    assert world.ended[0].why == "was silent for 4 s, and was killed"
    assert len(world.started) == 3


def test_one_that_starts_may_be_silent_for_longer() -> None:
    world = World(hang_s=2.0, ready_s=10.0)
    world.start()
    for process in world.started:
        process.frozen = True
    world.advance(9.0)
    assert world.ended == []
    world.advance(4.0)
    assert len(world.ended) == 2


def test_a_master_that_was_held_up_blames_nobody() -> None:
    world = World(hang_s=2.0)
    world.start()
    for process in world.started:
        process.say(Ready())
    world.advance(1.0)
    world.clock.advance(100.0)
    world.advance(5.0)
    assert world.ended == []


def test_a_frozen_worker_is_not_asked_for_ever() -> None:
    world = World(hang_s=1e6)
    world.start()
    first = world.started[0]
    first.silent = True
    world.advance(60.0)
    [member] = [each for each in world.crew if each.number == 1]
    assert member.ask("samples") is not None
    assert member.ask("samples") is None
    assert sum(isinstance(message, Ask) for message in first.told) == 2


def test_what_is_counted_of_states(world: World) -> None:
    assert world.crew.count(State.SERVING) == 2
    world.reload()
    assert world.crew.count(State.STARTING) == 2


def test_an_answer_that_nobody_asked_for_does_not_end_the_questions(world: World) -> None:
    mad = world.started[0]
    mad.say(Told(10**30, COUNTED))
    mad.say(Told(-1, COUNTED))
    world.advance(60)
    assert not mad.over, "it goes on answering"
    assert world.serving() == [1, 2]


def test_one_that_says_more_than_is_taken_in_is_alive_and_asked_again() -> None:
    world = World(hang_s=4.0)
    world.start()
    first = world.started[0]
    for process in world.started:
        process.say(Ready())
    [member, _] = world.crew
    told: list[Told | None] = []

    def ask() -> None:
        first.silent = True
        answer = member.ask("decisions")
        assert answer is not None
        answer.addCallback(told.append)
        first.silent = False
        first.say(TooLong())

    for _ in range(3):
        ask()
    assert told == [None, None, None]
    world.advance(20.0)
    assert world.ended == []
    # When nothing is asked there is nothing to settle.
    first.say(TooLong())
    answer = member.ask("samples")
    assert answer is not None
    answer.addCallback(told.append)
    assert told[3] == Told(len([m for m in first.told if isinstance(m, Ask)]), COUNTED)
