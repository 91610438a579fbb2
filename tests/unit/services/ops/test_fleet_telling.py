"""What `txmesh replace` tells: each change once, whose fault it was, and at once after a ^C."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Coroutine, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from balancer import ConfigFile, RegistryError
from balancer.testing import FakeRegistry
from services.ops.fleet.attended import Attended
from services.ops.fleet.claim import Claim
from services.ops.fleet.drivers.interface import Build, Built
from services.ops.fleet.ended import Ended
from services.ops.fleet.execute import Done
from services.ops.fleet.journal import Journal
from services.ops.fleet.kubernetes import RollingTelling
from services.ops.fleet.kubernetes.change import Replacing, Running
from services.ops.fleet.kubernetes.decide import Decision
from services.ops.fleet.kubernetes.decide import Seen as SeenRollout
from services.ops.fleet.kubernetes.observed import Pod, Rollout
from services.ops.fleet.make import claim
from services.ops.fleet.plan.steps import Outcome, Step
from services.ops.fleet.plan.view import View, Wanted
from services.ops.fleet.rest import Rest
from services.ops.fleet.telling.display import line_of
from services.ops.fleet.telling.events import (
    Event,
    NoticeEvent,
    PhaseEvent,
    ReplicaEvent,
    WaitEvent,
)
from services.ops.fleet.telling.telling import Telling
from tests.deferreds import now
from tests.signals import SignalReactor, own_handlers
from tests.simulation.fleet_world import Run, World, wanted

NEW = ["users-2.k3f-1", "users-2.k3f-2"]


class Told(Run):
    """A run whose events are kept; a `Task` as well."""

    def __init__(self, world: World, asked: Wanted) -> None:
        self.events: list[Event] = []
        self.telling = Telling(world.clock, asked.bake_s, self.events.append)
        self.done: Deferred[Ended] = Deferred()
        super().__init__(world, asked)

    def found(self, journal: Journal | None) -> None:
        self.telling.found(journal)

    def looked(self, view: View, journal: Journal | None) -> None:
        self.telling.looked(view, journal)

    def begins(self, steps: tuple[Step, ...]) -> None:
        self.telling.begins(steps)

    def did(self, done: Done) -> None:
        self.telling.did(done)

    def waits(self, why: str) -> None:
        super().waits(why)
        self.telling.waits(why)

    def notices(self, what: str) -> None:
        self.telling.notices(what)

    def _end(self, ended: Ended) -> None:
        super()._end(ended)
        self.done.callback(ended)

    def run(self) -> Coroutine[Any, Any, Ended]:
        async def until_done() -> Ended:
            return await self.done

        return until_done()

    def stop(self) -> None:
        self.replacement.stop()

    def leave(self, why: str) -> Coroutine[Any, Any, None]:
        return self.replacement.leave(why)


@pytest.mark.parametrize("quality", ["good", "smokes-badly", "fails-calls"])
def test_a_state_is_told_when_it_changes_and_once(quality: Any) -> None:
    gone = 0
    for seed in range(40):
        world = World(seed, old=2, by_hand=seed % 2 == 0)
        world.quality = quality
        run = Told(world, wanted())
        run.finish()
        last: dict[str, tuple[str, str]] = {}
        for event in run.events:
            if isinstance(event, ReplicaEvent):
                assert last.get(event.replica) != (event.state, event.address), (seed, event)
                last[event.replica] = (event.state, event.address)
                gone += event.state == "gone"
    assert gone > 0


def test_the_pods_of_a_rollout_are_told_of_likewise() -> None:
    events: list[Event] = []
    telling = RollingTelling(Clock(), 10.0, events.append)
    pod = Pod(name="users-a", version="1", address="10.0.0.1:80")
    for pods in ((pod,), (pod,), (), ()):
        rollout = Rollout(current=True, wanted=1, pods=pods)
        seen = SeenRollout(running=Running(version="1", image="i", replicas=1), rollout=rollout)
        telling.looked(seen, Decision(waiting="0 of 1 are well"))
    assert [(e.replica, e.state) for e in events if isinstance(e, ReplicaEvent)] == [
        ("users-a", "starting"),
        ("users-a", "gone"),
    ]
    assert [e.why for e in events if isinstance(e, WaitEvent)] == ["0 of 1 are well"]


# Whose fault it was.


class DiskOfTheDriver(Told):
    """A driver that cannot write a file of its own."""

    def build(self, build: Build) -> Deferred[None]:
        raise OSError(28, "No space left on device", "/etc/units/users")


class SilentKernel(Told):
    """A driver that cannot open a socket."""

    def built(self, service: str) -> Deferred[list[Built]]:
        return fail(OSError(24, "Too many open files"))


def test_a_disk_that_is_full_for_the_driver_is_not_told_as_the_journals() -> None:
    world = World(1, old=2)
    run = DiskOfTheDriver(world, wanted())
    ended = run.finish()
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "cannot be built: the driver world failed: [Errno 28]" in ended.why
    assert "/etc/units/users" in ended.why
    assert "journal" not in ended.why
    assert world.journal is None


def test_nor_is_a_driver_that_cannot_even_be_asked() -> None:
    ended = SilentKernel(World(1, old=2), wanted()).finish()
    assert ended == Ended(
        Outcome.REFUSED, "the driver world failed: [Errno 24] Too many open files"
    )


# The lock's holder, and the word that the last one left.


def claiming(registry: FakeRegistry, clock: Clock, told: list[str]) -> Claim:
    return Claim(
        "users",
        registry=registry,
        holder="a test",
        lock_s=13.0,
        clock=clock,
        rest=Rest(clock),
        waits=told.append,
        notices=told.append,
    )


class Mute(FakeRegistry):
    """It does not say who has a lock."""

    def holder(self, name: str) -> Deferred[str]:
        return fail(RegistryError("it is lost"))


class Late(FakeRegistry):
    """Until it is asked who has a lock, nobody has it any more."""

    def holder(self, name: str) -> Deferred[str]:
        self.unlock(name)
        return super().holder(name)


BUSY = "another replacement of users is running: "


@pytest.mark.parametrize(
    ("registry", "why"),
    [
        (FakeRegistry(), "deploy-1, process 7 has the lock replace.users of memory:"),
        (Mute(), "it holds the lock replace.users of memory:"),
        (Late(), "it holds the lock replace.users of memory:"),
    ],
    ids=["told", "mute", "late"],
)
def test_who_finds_the_lock_taken_is_told_by_whom(registry: FakeRegistry, why: str) -> None:
    now(registry.lock("replace.users", "deploy-1, process 7"))
    clock = Clock()
    claim = claiming(registry, clock, [])
    ended = now(Deferred.fromCoroutine(claim.take(patient=False)))
    assert ended == Ended(Outcome.BUSY, BUSY + why)
    assert not claim.held


@pytest.mark.parametrize(
    ("registry", "wait"),
    [
        (FakeRegistry(), "deploy-1, process 7 has the lock replace.users"),
        (Mute(), "the lock replace.users is somebody else's"),
    ],
    ids=["told", "mute"],
)
def test_who_waits_for_a_dead_holders_lock_is_told_whose_it_was(
    registry: FakeRegistry, wait: str
) -> None:
    now(registry.lock("replace.users", "deploy-1, process 7"))
    clock = Clock()
    told: list[str] = []
    claim = claiming(registry, clock, told)
    taking = Deferred.fromCoroutine(claim.take(patient=True))
    clock.advance(1.0)
    assert set(told) == {wait}
    registry.unlock("replace.users")
    clock.advance(1.0)
    assert now(taking) is None
    assert claim.held


def test_the_holder_s_name_is_of_use_on_another_machine() -> None:
    registry = FakeRegistry()
    mesh: Any = SimpleNamespace(registry=registry, clock=Clock())
    file = ConfigFile()
    telling = Telling(mesh.clock, 1.0, lambda _: None)
    for of, what in (
        (Wanted(service="users", version="7"), " (for version 7)"),
        (Wanted(service="users", abort=True), ""),
    ):
        own = claim(of, file, mesh, Rest(mesh.clock), telling)
        assert now(Deferred.fromCoroutine(own.take(patient=False))) is None
        who = f"{socket.gethostname()}, process {os.getpid()}{what}"
        assert now(registry.holder("replace.users")) == who
        now(Deferred.fromCoroutine(own.release()))


def test_the_word_that_the_last_holder_of_the_lock_left_is_told_once() -> None:
    clock = Clock()
    registry = FakeRegistry(clock)
    now(registry.lock("replace.users", "an earlier one"))
    registry.unlock("replace.users", note="1 of 2 old replicas take calls")
    noticed: list[str] = []
    claim = claiming(registry, clock, noticed)
    assert now(Deferred.fromCoroutine(claim.take(patient=True))) is None
    registry.unlock("replace.users", lost=True)
    assert not claim.held
    assert now(Deferred.fromCoroutine(claim.take(patient=True))) is None
    assert noticed == [
        "the last replacement of users did not get through: 1 of 2 old replicas take calls"
    ]
    now(Deferred.fromCoroutine(claim.release()))
    assert now(Deferred.fromCoroutine(claim.take(patient=True))) is None
    assert len(noticed) == 1


# ^C.


class Hanging(Told):
    """A driver that takes every order and never answers."""

    def build(self, build: Build) -> Deferred[None]:
        return Deferred()


@pytest.fixture
def _handlers() -> Iterator[None]:
    with own_handlers():
        yield


def attend(
    run: Told,
    *,
    as_json: bool = False,
    tail: Deferred[list[str]] | None = None,
    tailed: list[str] | None = None,
    reactor: SignalReactor | None = None,
) -> Deferred[int]:
    """Run it as the command does; fires with the exit status.

    Args:
        run: what runs.
        as_json: whether it was asked for JSON.
        tail: the end of every log; None for one that does not come.
        tailed: told whose log is asked for.
        reactor: whose time passes while it ends.
    """

    def read(name: str) -> Deferred[list[str]]:
        if tailed is not None:
            tailed.append(name)
        return Deferred() if tail is None else tail

    attended = Attended(
        "users",
        "2",
        task=run,
        telling=run.telling,
        stop_showing=lambda: None,
        tail=read,
        kept="users.json",
        as_json=as_json,
    )
    return Deferred.fromCoroutine(attended.run(reactor or SignalReactor()))


def step_until(run: Told, phase: str) -> None:
    """Let time pass until a phase is told and its first steps are under way."""
    for _ in range(1000):
        if run.telling.phase == phase and run.telling.under_way:
            return
        run.world.step()
    raise AssertionError(f"never there: {run.telling.phase} {run.telling.under_way}")


def notices(run: Told) -> list[str]:
    return [line_of(event) for event in run.events if isinstance(event, NoticeEvent)]


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_first_interrupt_is_answered_at_once_though_the_driver_hangs(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Hanging(World(1, old=2), wanted())
    status = attend(run, as_json=as_json)
    step_until(run, "build")
    signal.raise_signal(signal.SIGINT)
    told = (
        f"interrupted: it is undone; under way: make {NEW[0]}, make {NEW[1]}; "
        "^C again leaves it as it is, for the next run"
    )
    assert notices(run) == [told]
    # Where events go to a file, whoever pressed it sees it all the same.
    assert capsys.readouterr().err == (f"txmesh: {told}\n" if as_json else "")
    assert not status.called


@pytest.mark.usefixtures("_handlers")
def test_a_second_interrupt_leaves_it_to_the_next_run(capsys: pytest.CaptureFixture[str]) -> None:
    run = Hanging(World(1, old=2), wanted())
    run.world.note = "1 of 2 old replicas take calls"
    status = attend(run)
    step_until(run, "build")
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert now(status) == 3
    told = capsys.readouterr().err
    assert "users is unfinished (users.json); run it again to go on" in told
    assert run.world.journal is not None
    run.kill()
    # As promised; and the next one is told of this one, not of an older trouble.
    again = Told(run.world, wanted())
    assert again.finish().outcome is Outcome.REPLACED
    why = "the last replacement of users did not get through: it was interrupted twice"
    assert notices(again) == [why]
    assert run.world.note == ""


class Clinging(Told):
    """One whose registry does not take the lock back."""

    async def leave(self, why: str) -> None:
        await Deferred()


@pytest.mark.usefixtures("_handlers")
def test_a_second_interrupt_does_not_wait_for_a_registry_that_is_lost() -> None:
    run = Clinging(World(1, old=2), wanted())
    reactor = SignalReactor()
    status = attend(run, reactor=reactor)
    step_until(run, "build")
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    assert not status.called
    reactor.advance(5.0)
    assert now(status) == 3


@pytest.mark.usefixtures("_handlers")
def test_an_interrupt_says_what_is_waited_for() -> None:
    run = Told(World(1, old=2), wanted())
    attend(run)
    step_until(run, "build")
    run.world.driver_up = False
    run.world.pass_time(3.0)
    signal.raise_signal(signal.SIGINT)
    assert notices(run)[0].startswith("interrupted: it is undone; it waits: it is away; ^C again")


@pytest.mark.usefixtures("_handlers")
def test_an_interrupt_says_nothing_of_a_wait_that_is_over() -> None:
    run = Told(World(1, old=2), wanted(bake_s=20.0))
    attend(run)
    step_until(run, "bake")
    run.world.pass_time(5.0)
    assert any("new replicas" in line_of(e) for e in run.events if isinstance(e, WaitEvent))
    signal.raise_signal(signal.SIGINT)
    assert notices(run)[0].startswith("interrupted: it is undone; it looks how the replicas are;")


@pytest.mark.usefixtures("_handlers")
def test_an_interrupt_after_the_drain_began_says_that_it_is_finished() -> None:
    run = Told(World(1, old=2), wanted())
    status = attend(run)
    step_until(run, "drain")
    signal.raise_signal(signal.SIGINT)
    assert "the old replicas have begun to leave, so it is finished" in notices(run)[0]
    run.finish()
    assert now(status) == 0


@pytest.mark.usefixtures("_handlers")
def test_nobody_waits_for_a_log_that_does_not_come(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(1, old=2)
    world.quality = "dies"
    run = Told(world, wanted())
    status = attend(run, tail=Deferred())
    run.finish()
    assert not status.called
    signal.raise_signal(signal.SIGINT)
    assert now(status) == 1
    assert "users is rolled back" in capsys.readouterr().err


@pytest.mark.usefixtures("_handlers")
def test_a_log_that_cannot_be_read_silences_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(1, old=2)
    world.quality = "dies"
    run = Told(world, wanted())
    status = attend(run, tail=fail(OSError(5, "Input/output error")))
    run.finish()
    assert now(status) == 1
    assert "users is rolled back" in capsys.readouterr().err


def test_a_notice_is_a_line_for_people() -> None:
    assert line_of(NoticeEvent(at_s=1.0, what="it is so")) == "it is so"
    assert line_of(PhaseEvent(at_s=1.0, phase="held", version="2", members=())) != ""


# What it says of itself is true.


@pytest.mark.usefixtures("_handlers")
def test_who_goes_on_with_a_drain_knows_it_before_anything_can_be_asked() -> None:
    run = Told(World(1, old=2), wanted())
    step_until(run, "drain")
    run.kill()
    run.world.driver_up = False
    again = Told(run.world, wanted())
    attend(again)
    assert "so it is finished; it looks" in again.telling.interrupted()  # not yet the lock
    run.world.pass_time(5.0)
    assert not [event for event in again.events if isinstance(event, PhaseEvent)]
    signal.raise_signal(signal.SIGINT)
    assert "so it is finished; it waits: it is away" in notices(again)[-1]


def test_what_others_finished_while_the_lock_was_waited_for_is_not_said_to_go_on() -> None:
    run = Told(World(1, old=2), wanted())
    step_until(run, "drain")
    again = Told(run.world, wanted(version="3"))
    assert again.telling.phase == "drain"
    run.finish()
    while run.world.lock is None:
        run.world.step()
    while again.telling.phase == "drain":
        run.world.step()
    assert again.telling.phase == ""  # nothing is left to go on with
    assert again.finish().outcome is Outcome.REPLACED


def test_who_finds_a_rollout_taken_back_says_so() -> None:
    events: list[Event] = []
    telling = RollingTelling(Clock(), 10.0, events.append)
    old = Running(version="1", image="i", replicas=1)
    new = Running(version="2", image="j", replicas=1, generation="b")
    taken_back = Replacing(wanted=new, before=old, phase="undo", why="pod users-b ended")
    telling.found(taken_back)
    assert "it is being undone already" in telling.interrupted()
    rollout = Rollout(current=True, wanted=1)
    seen = SeenRollout(running=old, rollout=rollout, replacing=taken_back)
    for _ in range(2):
        telling.looked(seen, Decision(waiting="0 of 1 new pods are well"))
    [told] = [event for event in events if isinstance(event, PhaseEvent)]
    assert (told.phase, told.version, told.why) == ("undo", "2", "pod users-b ended")
    assert "it is being undone already" in telling.interrupted()


class LosesTheLock(Told):
    """The lock is lost while the look is taken that leads to the first new replicas."""

    def looked(self, view: View, journal: Journal | None) -> None:
        super().looked(view, journal)
        if journal is not None and self.world.lock is self.lock_of_run is not None:
            self.lock_of_run.lost.callback(None)


def test_what_never_began_is_not_under_way() -> None:
    world = World(1, old=2)
    run = LosesTheLock(world, wanted())
    while run.lock_of_run is None or not run.lock_of_run.lost.called:
        world.step()
    world.pass_time(1.0)
    assert run.telling.under_way == set()
    assert "under way" not in run.telling.interrupted()


@pytest.mark.parametrize(("count", "replicas"), [(1, "1 replica"), (3, "3 replicas")])
def test_that_it_is_the_first_deployment_is_told_and_not_waited_for(
    count: int, replicas: str
) -> None:
    run = Told(World(1, old=0), wanted(replicas=count))
    run.finish()
    assert notices(run) == [f"none is announced: this is the first deployment, of {replicas}"]
    waits = [event.why for event in run.events if isinstance(event, WaitEvent)]
    assert not any("first deployment" in why for why in waits)


# The log of what failed.


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize(
    ("quality", "of"), [("dies", NEW[:1]), ("smokes-badly", NEW[:1]), ("fails-calls", [])]
)
def test_the_log_of_the_replica_that_failed_is_shown(
    quality: Any, of: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(1, old=2)
    world.quality = quality
    run = Told(world, wanted())
    tailed: list[str] = []
    status = attend(run, tail=succeed(["Traceback", "KeyError"]), tailed=tailed)
    ended = run.finish()
    assert now(status) == 1
    assert ([ended.failed] if of else []) == tailed
    assert len(tailed) == len(of)
    shown = f"txmesh: the end of the log of {ended.failed}:\n    Traceback\n    KeyError\n"
    assert (shown in capsys.readouterr().err) is bool(of)


@pytest.mark.usefixtures("_handlers")
def test_an_interrupt_shows_nobody_s_log() -> None:
    run = Told(World(1, old=2), wanted())
    tailed: list[str] = []
    status = attend(run, tailed=tailed)
    step_until(run, "build")
    signal.raise_signal(signal.SIGINT)
    run.finish()
    assert now(status) == 1
    assert tailed == []
