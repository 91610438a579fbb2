"""Restarts, readiness and stopping, in virtual time with processes that are none."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from balancer import Endpoint, RegistryError
from services.kit.backoff import RestartBackoff
from services.kit.settings import UpSettings
from services.ops.probe import READY, SILENT, STANDBY, STARTING
from services.ops.up.kept import Kept
from services.ops.up.plan import Slot
from services.ops.up.supervisor import NotReady, Supervisor

SLOTS = [Slot("users", "users-1"), Slot("users", "users-2")]


def fired(deferred: Deferred[Any]) -> bool:
    """Asked through a function: mypy would take one answer for all that follow."""
    return deferred.called


class Process:
    """Takes the place of a child process."""

    def __init__(self, slot: Slot, pid: int, ended: Callable[[str], None]) -> None:
        self.slot = slot
        self.pid = pid
        self.signals: list[str] = []
        self.stubborn = False
        self._ended = ended
        self._gone = False

    def signalProcess(self, name: str) -> None:
        if self._gone:
            raise ProcessExitedAlready
        self.signals.append(name)
        if name == "KILL" or not self.stubborn:
            self.end(f"was ended by {name}")

    def end(self, how: str) -> None:
        self._gone = True
        self._ended(how)


class World:
    """A machine with a registry, as far as a supervisor sees it."""

    def __init__(self, *, processors: int = 8, **settings: Any) -> None:
        self.clock = Clock()
        self.started: list[Process] = []
        self.announced: list[Endpoint] = []
        self.states: dict[int, str] = {}
        self.told: list[str] = []
        self.failures: list[NotReady] = []
        self.fault: OSError | None = None
        self.room = 0
        self.read: Callable[[], Deferred[list[Endpoint]]] = lambda: succeed(list(self.announced))
        self.ask: Callable[[Endpoint], Deferred[str]] = lambda endpoint: succeed(
            self.states.get(endpoint.pid, READY)
        )
        self.supervisor = Supervisor(
            SLOTS,
            clock=self.clock,
            settings=UpSettings(**settings),
            launch=self._launch,
            # A test may put others in their place.
            endpoints=lambda: self.read(),  # noqa: PLW0108
            state=lambda endpoint: self.ask(endpoint),  # noqa: PLW0108
            tell=self.told.append,
            processors=processors,
        )

    def _launch(self, slot: Slot, ended: Callable[[str], None]) -> IProcessTransport:
        if self.fault is not None and len(self.started) >= self.room:
            raise self.fault
        process = Process(slot, 100 + len(self.started), ended)
        self.started.append(process)
        return cast("IProcessTransport", process)

    def start(self) -> Deferred[None]:
        ready = self.supervisor.start()
        ready.addErrback(self._failed)
        return ready

    def _failed(self, failure: Failure) -> None:
        assert isinstance(failure.value, NotReady)
        self.failures.append(failure.value)

    def announce(self, process: Process) -> None:
        slot = process.slot
        self.announced = [e for e in self.announced if e.replica != slot.replica]
        self.announced.append(
            Endpoint(service=slot.service, replica=slot.replica, address="a:1", pid=process.pid)
        )

    def all_ready(self) -> None:
        for process in list(self.started):
            self.announce(process)
        self.advance(0.2)

    def advance(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))


def test_it_is_ready_when_every_process_is_announced_and_says_so() -> None:
    world = World()
    ready = world.start()
    assert [process.slot for process in world.started] == SLOTS
    world.announce(world.started[0])
    world.states[world.started[1].pid] = "draining"
    world.announce(world.started[1])
    world.advance(0.5)
    assert not fired(ready)
    del world.states[world.started[1].pid]
    world.advance(0.2)
    assert fired(ready)
    assert world.failures == []


def test_an_entry_of_another_process_says_nothing() -> None:
    world = World()
    ready = world.start()
    for process in world.started:
        world.announce(process)
    world.announced = [
        Endpoint(service=e.service, replica=e.replica, address="a:1", pid=1)
        for e in world.announced
    ]
    world.advance(1)
    assert not fired(ready)


class Hanging:
    """Questions that get no answer until their time is up.

    Attributes:
        most: how many were open at once to one process, by its id.
        count: how many there were in all.
    """

    def __init__(self, clock: Clock, lasts_s: float) -> None:
        self.most: dict[int, int] = {}
        self.count = 0
        self._clock = clock
        self._lasts_s = lasts_s
        self._open: dict[int, int] = {}

    def ask(self, pid: int, answer: object) -> Deferred[Any]:
        self.count += 1
        self._open[pid] = self._open.get(pid, 0) + 1
        self.most[pid] = max(self.most.get(pid, 0), self._open[pid])
        asked: Deferred[Any] = Deferred()
        self._clock.callLater(self._lasts_s, self._end, pid, asked, answer)
        return asked

    def _end(self, pid: int, asked: Deferred[Any], answer: object) -> None:
        self._open[pid] -= 1
        if isinstance(answer, Exception):
            asked.errback(answer)
        else:
            asked.callback(answer)


def test_an_admin_port_that_hangs_is_not_asked_again_before_it_is_given_up() -> None:
    world = World()
    hangs = Hanging(world.clock, lasts_s=1.0)
    hung = 100

    def state(endpoint: Endpoint) -> Deferred[str]:
        return hangs.ask(hung, SILENT) if endpoint.pid == hung else succeed(STARTING)

    world.ask = state
    ready = world.start()
    for process in world.started:
        world.announce(process)
    world.advance(5)
    assert hangs.most == {hung: 1}
    assert 4 <= hangs.count <= 5, "once it is given up it is asked again"
    # Neither does it hold up the others, nor itself for longer than its question.
    world.ask = lambda _: succeed(READY)
    world.advance(0.2)
    assert world.supervisor.kept["users-2"].ready
    world.advance(1)
    assert fired(ready)


def test_a_restarted_process_does_not_wait_for_what_the_dead_one_was_asked() -> None:
    world = World()
    world.start()
    world.all_ready()
    world.started[0].end("was killed by signal 9")
    world.advance(0.15)
    hangs = Hanging(world.clock, lasts_s=1000.0)
    world.ask = lambda endpoint: hangs.ask(endpoint.pid, SILENT)
    world.announce(world.started[2])
    world.advance(0.2)
    world.started[2].end("was killed by signal 9")
    world.ask = lambda _: succeed(READY)
    world.advance(0.5)
    world.announce(world.started[3])
    world.advance(0.2)
    assert hangs.most == {102: 1}
    assert world.told[-1] == "users-1 is ready again (process 103)"


@pytest.mark.parametrize("answer", [[], RegistryError("gone")])
def test_a_registry_that_hangs_is_not_asked_again_before_it_is_given_up(answer: object) -> None:
    world = World()
    hangs = Hanging(world.clock, lasts_s=2.0)
    world.read = lambda: hangs.ask(0, answer)
    ready = world.start()
    world.advance(7)
    assert hangs.most == {0: 1}
    assert 3 <= hangs.count <= 4
    world.read = lambda: succeed(list(world.announced))
    world.advance(2)
    world.all_ready()
    assert fired(ready)


def test_a_dead_replica_is_started_again_and_that_is_told() -> None:
    world = World()
    world.start()
    world.all_ready()
    world.started[0].end("was killed by signal 9")
    assert world.told == ["users-1 was killed by signal 9; it is started again in 0.1 s"]
    assert len(world.started) == 2
    world.advance(0.15)
    assert [process.slot for process in world.started] == [*SLOTS, SLOTS[0]]
    world.announce(world.started[2])
    world.advance(0.2)
    assert world.told[1] == "users-1 is ready again (process 102)"


def test_a_replica_that_keeps_dying_is_waited_for_longer_and_longer() -> None:
    world = World(restart_first_s=0.1, restart_most_s=0.4)
    world.start()
    world.all_ready()
    for _ in range(4):
        world.started[-1].end("ended with status 1")
        world.advance(0.5)
    waits = [line.rpartition(" in ")[2] for line in world.told if "started again" in line]
    assert waits == ["0.1 s", "0.2 s", "0.4 s", "0.4 s"]
    assert world.failures == []


def test_a_restart_that_the_machine_refuses_is_tried_again() -> None:
    world = World(restart_first_s=0.1, restart_most_s=0.4)
    world.start()
    world.all_ready()
    world.fault = OSError(errno.EAGAIN, "no more processes")
    world.started[0].end("ended with status 1")
    world.advance(0.6)
    how = f"users-1 cannot be started ([Errno {errno.EAGAIN}] no more processes)"
    assert world.told[1:] == [
        f"{how}; it is started again in 0.2 s",
        f"{how}; it is started again in 0.4 s",
    ]
    world.fault = None
    world.advance(0.5)
    assert [process.slot for process in world.started] == [*SLOTS, SLOTS[0]]


def test_a_start_that_the_machine_refuses_is_told_and_stopped() -> None:
    world = World()
    world.fault, world.room = OSError(errno.ENOSPC, "disk full"), 1
    world.start()
    assert [str(failure) for failure in world.failures] == [
        f"users-2 cannot be started ([Errno {errno.ENOSPC}] disk full)"
    ]
    results: list[bool] = []
    world.supervisor.stop().addCallback(results.append)
    assert results == [True]
    assert world.started[0].signals == ["TERM"]
    assert world.clock.getDelayedCalls() == []


def test_the_wait_starts_over_after_a_long_life() -> None:
    backoff = RestartBackoff(0.1, 10.0)
    waits = [backoff.after(lived) for lived in (1.0, 1.0, 1.0, 9.9, 10.0, 1.0)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 0.1, 0.2]
    assert max(backoff.after(0.0) for _ in range(20)) == 10.0


def test_one_that_dies_before_it_was_ever_ready_is_given_up() -> None:
    world = World()
    world.start()
    for _ in range(4):
        next(p for p in reversed(world.started) if p.slot == SLOTS[1]).end("ended with status 1")
        world.advance(1)
    assert str(world.failures[0]) == (
        "users-2 ended with status 1, 4 times, and never became ready"
    )
    assert world.failures[0].slot == SLOTS[1]
    world.supervisor.stop()
    assert all("TERM" in p.signals for p in world.started if p.slot == SLOTS[0])


def test_one_that_never_gets_ready_is_given_up() -> None:
    world = World(ready_s=5.0)
    world.start()
    world.announce(world.started[0])
    world.advance(4.9)
    assert world.failures == []
    world.advance(0.3)
    assert str(world.failures[0]) == "users-2 is not ready after 5 s"


def test_a_restart_is_never_too_late_once_all_were_ready() -> None:
    world = World(ready_s=1.0)
    world.start()
    world.all_ready()
    world.started[0].end("ended with status 0")
    world.advance(5)
    assert world.failures == []


def test_a_stop_lets_all_leave_and_starts_none_again() -> None:
    world = World()
    world.start()
    world.all_ready()
    world.started[0].end("was killed by signal 9")
    results: list[bool] = []
    world.supervisor.stop().addCallback(results.append)
    assert results == [True]
    assert world.started[1].signals == ["TERM"]
    world.advance(60)
    assert len(world.started) == 2
    assert world.clock.getDelayedCalls() == []


def test_who_does_not_leave_is_killed_in_the_end() -> None:
    world = World(stop_s=35.0)
    world.start()
    world.all_ready()
    world.started[0].stubborn = True
    results: list[bool] = []
    world.supervisor.stop().addCallback(results.append)
    world.advance(34.9)
    assert results == []
    world.advance(0.2)
    assert results == [False]
    assert world.started[0].signals == ["TERM", "KILL"]


def test_a_kill_waits_for_nothing() -> None:
    world = World()
    world.start()
    for process in world.started:
        process.stubborn = True
    results: list[bool] = []
    world.supervisor.stop().addCallback(results.append)
    world.supervisor.kill()
    assert results == [False]


BUILT = Slot("users", "users-2.k-1", "2", mark=Path("/run/users-2.k-1.announced"))


def with_built() -> World:
    world = World(stop_s=35.0)
    world.start()
    world.all_ready()
    world.supervisor.add(BUILT)
    world.announce(world.started[2])
    world.states[world.started[2].pid] = STANDBY
    return world


def state(world: World) -> str:
    return world.supervisor.kept[BUILT.replica].state


def test_one_that_is_added_stands_by_and_comes_back_when_it_dies() -> None:
    world = with_built()
    world.advance(0.2)
    world.started[2].end("was killed by signal 9")
    assert state(world) == "running"
    world.advance(0.2)
    assert world.started[3].slot == BUILT
    world.announce(world.started[3])
    world.advance(0.2)
    assert world.told == [
        "users-2.k-1 was killed by signal 9; it is started again in 0.1 s",
        "users-2.k-1 is ready again (process 103)",
    ]


def test_one_that_is_added_and_dies_before_it_was_ready_stays_down() -> None:
    world = with_built()
    world.states[world.started[2].pid] = "starting"
    world.advance(0.2)
    world.started[2].end("ended with status 1")
    world.advance(60)
    assert len(world.started) == 3
    assert state(world) == "failed"
    why = "ended with status 1 and never became ready"
    assert world.supervisor.kept[BUILT.replica].why == why
    assert world.told == [f"users-2.k-1 {why}; it stays down until it is removed"]
    assert world.failures == []


def test_one_that_cannot_be_started_when_it_is_added_has_failed() -> None:
    world = World()
    world.start()
    world.all_ready()
    world.fault = OSError(errno.EAGAIN, "no more processes")
    world.supervisor.add(BUILT)
    assert state(world) == "failed"
    world.fault = None
    world.advance(60)
    assert len(world.started) == 2


OTHER = Slot("users", "users-2.k-2", "2", mark=Path("/run/other"))


def with_two_added(processors: int) -> World:
    world = World(processors=processors)
    world.start()
    world.all_ready()
    world.supervisor.add(BUILT)
    world.supervisor.add(OTHER)
    return world


def test_half_of_the_processors_stay_with_those_that_serve() -> None:
    assert len(with_two_added(4).started) == 4
    world = with_two_added(2)
    assert [process.slot for process in world.started[2:]] == [BUILT]
    assert world.supervisor.kept[OTHER.replica].state == "running"
    world.announce(world.started[2])
    world.states[world.started[2].pid] = STANDBY
    world.advance(0.3)
    assert [process.slot for process in world.started[2:]] == [BUILT, OTHER]


def test_one_that_hangs_or_ends_at_its_start_keeps_the_next_waiting_for_seconds_only() -> None:
    world = with_two_added(2)
    world.advance(4.5)
    assert len(world.started) == 3
    world.advance(1.0)
    assert len(world.started) == 4
    world = with_two_added(1)
    world.started[2].end("ended with status 1")
    world.advance(0.2)
    assert [process.slot for process in world.started[2:]] == [BUILT, OTHER]


def test_one_that_is_removed_before_its_turn_is_never_started() -> None:
    world = with_two_added(2)
    assert fired(world.supervisor.remove(OTHER.replica))
    world.advance(20.0)
    assert len(world.started) == 3
    assert OTHER.replica not in world.supervisor.kept
    world = with_two_added(2)
    assert fired(world.supervisor.stop())
    world.advance(20.0)
    assert len(world.started) == 3


def test_one_that_is_retired_is_not_started_again() -> None:
    world = with_built()
    world.advance(0.2)
    world.supervisor.kept[BUILT.replica].retire()
    assert state(world) == "running"
    world.started[2].end("ended with status 0")
    world.advance(60)
    assert state(world) == "ended"
    assert len(world.started) == 3
    assert world.told == []


def test_one_that_waits_to_be_started_again_is_retired_for_good() -> None:
    world = with_built()
    world.advance(0.2)
    world.started[2].end("was killed by signal 9")
    world.supervisor.kept[BUILT.replica].retire()
    world.advance(60)
    assert state(world) == "ended"
    assert len(world.started) == 3


def test_one_that_is_removed_leaves_and_is_forgotten() -> None:
    world = with_built()
    world.started[2].stubborn = True
    removed = [world.supervisor.remove(BUILT.replica) for _ in range(2)]
    assert world.started[2].signals == ["TERM"]
    world.started[2].end("ended with status 0")
    assert all(fired(each) for each in removed)
    assert BUILT.replica not in world.supervisor.kept
    assert fired(world.supervisor.remove(BUILT.replica))
    world.advance(60)
    assert world.told == ["users-2.k-1 is removed"]


def test_one_that_does_not_leave_when_it_is_removed_is_killed() -> None:
    world = with_built()
    world.started[2].stubborn = True
    removed = world.supervisor.remove(BUILT.replica)
    world.advance(34.9)
    assert not fired(removed)
    world.advance(0.2)
    assert fired(removed)
    assert world.started[2].signals == ["TERM", "KILL"]
    # The others' stop is clean all the same.
    results: list[bool] = []
    world.supervisor.stop().addCallback(results.append)
    assert results == [True]
    assert world.clock.getDelayedCalls() == []


def test_a_stop_waits_for_those_that_were_added_and_those_being_removed() -> None:
    world = with_built()
    other = Slot("users", "users-2.k-2", "2", mark=Path("/run/other"))
    world.supervisor.add(other)
    for process in world.started[2:]:
        process.stubborn = True
    removed = world.supervisor.remove(other.replica)
    results: list[bool] = []
    world.supervisor.stop().addCallback(results.append)
    assert world.supervisor.stopping
    world.started[2].end("ended with status 0")
    assert results == []
    world.started[3].end("ended with status 0")
    assert results == [True]
    assert fired(removed)
    assert world.clock.getDelayedCalls() == []


def test_two_stops_are_one() -> None:
    world = World()
    world.start()
    world.started[0].stubborn = True
    first = world.supervisor.stop()
    assert world.supervisor.stop() is first
    assert world.started[0].signals == ["TERM"]


@pytest.mark.parametrize("name", ["ready_s", "stop_s", "restart_first_s", "log_bytes"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        UpSettings(**{name: 0})
    with pytest.raises(ValueError, match="restart_most_s"):
        UpSettings(restart_first_s=11.0)


def test_one_that_is_dead_before_it_was_told_of_is_not_waited_for() -> None:
    def launch(slot: Slot, ended: Callable[[str], None]) -> IProcessTransport:
        process = Process(slot, 7, ended)
        process.end("ended with status 1")
        return cast("IProcessTransport", process)

    clock = Clock()
    given_up: list[Kept] = []
    kept = Kept(
        Slot("users", "users-1", "2", "", Path("never-made")),
        clock=clock,
        settings=UpSettings(),
        launch=launch,
        tell=lambda _: None,
        on_end=lambda: None,
        on_give_up=given_up.append,
    )
    kept.start()
    assert (kept.process, kept.state, given_up) == (None, "failed", [kept])
    assert fired(kept.remove())
