"""A world for replacements, in virtual time: replicas with lives, a supervisor, a registry, a driver.

What decides and acts is the real code. The world says what is true, answers after a moment, and
checks each order that reaches it: one that takes calls is told to leave only while enough others take
them, and what may still be called is never removed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from balancer import ConnectFailed, Endpoint, RegistryError
from services.ops.fleet.bake.comparison import Figures
from services.ops.fleet.claim import Claim
from services.ops.fleet.drivers.interface import Build, Built, DriverError
from services.ops.fleet.ended import Ended
from services.ops.fleet.execute import Done
from services.ops.fleet.journal import Journal, NotKept
from services.ops.fleet.plan.steps import Step
from services.ops.fleet.plan.view import View, Wanted
from services.ops.fleet.replacement import Replacement
from services.ops.fleet.rest import Rest

Quality = Literal["good", "never-ready", "dies", "smokes-badly", "fails-calls", "cannot-be-built"]

# How long things take in this world (seconds).
START_S, DRAIN_S, RESTART_S, TTL_S = 1.0, 1.0, 0.5, 2.0


class Slot:
    """One replica through all its processes."""

    def __init__(self, name: str, *, supervised: bool, quality: Quality, version: str) -> None:
        self.name = name
        self.supervised = supervised
        self.quality = quality
        self.version = version
        self.state = "ended"
        self.hung = False
        self.deaf = False  # it serves, and its admin port is out of reach
        self.heard_at = -1.0  # when it was within reach again
        self.belied = False  # the driver says that it has ended, whether it has or not
        self.hurt_at = -1.0  # when a fault last hit it
        self.told = False
        self.retired = False
        self.was_announced = False  # what its standby file remembers
        self.removed = False
        self.weight = 1.0
        self.pid = 0
        self.ready_at = 0.0
        self.listed_until = 0.0
        self.endpoint: Endpoint | None = None

    @property
    def takes_calls(self) -> bool:
        return self.state == "ready" and not self.hung

    @property
    def lives(self) -> bool:
        return self.state != "ended"


class World:
    """See the module."""

    def __init__(self, seed: int, *, old: int, by_hand: bool = False) -> None:
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.slots: dict[str, Slot] = {}
        self.quality: Quality = "good"
        self.journal: Journal | None = None
        self.disk_full = False
        self.registry_up = True
        self.registry_forgets = False
        self.driver_up = True
        self.lock: FakeLock | None = None
        self.note = ""  # what the lock's last holder left
        self.supervised_old = not by_hand
        self.drained: list[str] = []
        for number in range(1, old + 1):
            slot = self._add(f"users-{number}", "1", "good", supervised=not by_hand)
            slot.was_announced = True
            self._start(slot)
        self.clock.advance(START_S * 2)

    # Lives.

    def _add(self, name: str, version: str, quality: Quality, *, supervised: bool) -> Slot:
        slot = self.slots[name] = Slot(
            name, supervised=supervised, quality=quality, version=version
        )
        return slot

    def _start(self, slot: Slot) -> None:
        slot.state, slot.hung, slot.told = "starting", False, False
        slot.pid += 1
        wait_s = START_S * self.rng.uniform(0.5, 1.5)
        self.clock.callLater(wait_s, self._started, slot, slot.pid)

    def _started(self, slot: Slot, pid: int) -> None:
        if slot.pid != pid or slot.state != "starting" or slot.hung:
            return
        if slot.quality == "dies":
            self._end(slot)
        elif slot.quality != "never-ready":
            slot.state = "ready" if slot.was_announced else "standby"
            slot.ready_at = self.clock.seconds()
            slot.weight = 1.0

    def _end(self, slot: Slot) -> None:
        slot.state = "ended"
        slot.pid += 1
        if slot.supervised and not slot.retired and not slot.removed:
            self.clock.callLater(RESTART_S, self._restart, slot, slot.pid)

    def _restart(self, slot: Slot, pid: int) -> None:
        if slot.pid == pid and not slot.retired and not slot.removed:
            self._start(slot)

    def kill(self, slot: Slot) -> None:
        if slot.lives:
            slot.hurt_at = self.clock.seconds()
            # Nobody withdraws it: it stands in the registry until its time is over.
            slot.listed_until = self.clock.seconds() + TTL_S
            self._end(slot)

    def hang(self, slot: Slot) -> None:
        if slot.lives:
            slot.hurt_at = self.clock.seconds()
            slot.hung = True

    def calm(self, *, start: bool) -> None:
        """Mend all that only people can mend.

        Args:
            start: also start by hand what was started by hand and died.
        """
        self.registry_up, self.registry_forgets, self.driver_up = True, False, True
        self.disk_full = False
        for slot in list(self.slots.values()):
            slot.deaf = slot.belied = False
            if slot.hung:
                self.kill(slot)
            if start and not slot.lives and not slot.supervised and not slot.told:
                self._start(slot)

    def taking(self, since: float = float("inf")) -> int:
        """How many take calls; one that a fault hit after an instant counts as if it had not."""
        return sum(
            slot.takes_calls or (slot.hurt_at >= since and slot.was_announced)
            for slot in self.slots.values()
            if not slot.told
        )

    def listed(self) -> list[Endpoint]:
        """What the registry would say."""
        found = []
        for slot in self.slots.values():
            if slot.state in ("standby", "ready"):
                slot.endpoint = Endpoint(
                    service="users",
                    replica=slot.name,
                    address=f"10.0.0.1:{1000 + slot.pid}",
                    admin="10.0.0.1:1",
                    pid=slot.pid,
                    version=slot.version,
                    weight=slot.weight,
                    standby=slot.state == "standby",
                )
                found.append(slot.endpoint)
            elif slot.endpoint is not None and slot.listed_until > self.clock.seconds():
                found.append(slot.endpoint)
        return found

    # Orders, each checked where it arrives.

    def build(self, build: Build) -> None:
        if build.replica in self.slots:
            return
        if self.quality == "cannot-be-built":
            raise DriverError("there is no such image")
        self._start(self._add(build.replica, build.version, self.quality, supervised=True))

    def announce(self, slot: Slot, weight: float) -> None:
        if slot.hung or slot.deaf or slot.state not in ("standby", "ready"):
            raise ConnectFailed("nobody is there")
        slot.state, slot.was_announced, slot.weight = "ready", True, weight

    def drain(self, slot: Slot, looked_at: float, journal: Journal | None) -> None:
        if slot.hung or slot.deaf or slot.state not in ("standby", "ready", "draining"):
            raise ConnectFailed("nobody is there")
        if slot.state == "ready" and not slot.told:
            self._check_enough_without(slot, "drained", looked_at, journal)
        if slot.state != "draining":
            slot.told = True
            slot.state = "draining"
            self.drained.append(slot.name)
            self.clock.callLater(DRAIN_S, self._drained, slot, slot.pid)

    def _check_enough_without(
        self, slot: Slot, what: str, looked_at: float, journal: Journal | None
    ) -> None:
        assert journal is not None, f"{slot.name} is {what} and no journal says so"
        needed = journal.replicas
        if journal.phase == "undo":
            needed = min(journal.before, journal.replicas)
        slot.told = True
        left = self.taking(looked_at)
        assert left >= needed, f"{slot.name} is {what}, {left} of {needed} are left"

    def hears(self, slot: Slot) -> None:
        """Its admin port is within reach again."""
        slot.deaf, slot.heard_at = False, self.clock.seconds()

    def _drained(self, slot: Slot, pid: int) -> None:
        if slot.pid == pid and not slot.hung:
            self._end(slot)

    def retire(self, name: str) -> None:
        if name in self.slots:
            self.slots[name].retired = True

    def remove(self, name: str, looked_at: float, journal: Journal | None) -> None:
        slot = self.slots.get(name)
        if slot is None or slot.removed:
            return
        called = slot.lives and slot.was_announced and not slot.hung
        if called and (slot.deaf or slot.heard_at >= looked_at):
            # Nobody can see that it serves: others must.
            self._check_enough_without(slot, "removed", looked_at, journal)
        else:
            assert not called or slot.hurt_at >= looked_at, f"{name} is removed and is {slot.state}"
        slot.removed = True
        self._end(slot)

    def built(self) -> list[Built]:
        return [
            Built(
                replica=slot.name,
                service="users",
                version=slot.version,
                state="running"
                if not slot.belied and (slot.lives or not slot.retired)
                else "ended",
            )
            for slot in self.slots.values()
            if slot.supervised and not slot.removed
        ]

    def living(self) -> list[str]:
        """The names of all that run, or will be started again."""
        return sorted(
            slot.name
            for slot in self.slots.values()
            if not slot.removed and (slot.lives or (slot.supervised and not slot.retired))
        )

    def step(self) -> None:
        """Let time pass until the next thing happens."""
        calls = self.clock.getDelayedCalls()
        at = min(call.getTime() for call in calls) if calls else 0.0
        self.clock.advance(max(0.0, at - self.clock.seconds()))

    def pass_time(self, seconds: float) -> None:
        """Let things happen for a while."""
        end = self.clock.seconds() + seconds
        while self.clock.getDelayedCalls() and self.clock.seconds() < end:
            self.step()

    def run(self, wanted: Wanted) -> Run:
        return Run(self, wanted)


class FakeLock:
    """The registry's lock."""

    def __init__(self, world: World) -> None:
        self.note = world.note
        self.lost: Deferred[None] = Deferred()
        self.world = world

    def release(self, note: str | None = None) -> Deferred[None]:
        if self.world.lock is self:
            self.world.lock = None
            self.world.note = self.world.note if note is None else note
        return _fired(None)


def _fired(value: Any) -> Deferred[Any]:
    answer: Deferred[Any] = Deferred()
    answer.callback(value)
    return answer


class Run:
    """One process of the command. Killed, it hears nothing and says nothing any more."""

    url = "world:"
    name = "world"

    def __init__(self, world: World, wanted: Wanted) -> None:
        self.world = world
        self.alive = True
        self.lock_of_run: FakeLock | None = None
        self.looked_at = world.clock.seconds()
        self.ended: Ended | None = None
        self.waited: list[str] = []
        self.failure: Any = None
        self.phases: list[str] = []
        every: Any = self
        rest = Rest(every)
        self.replacement = Replacement(
            wanted,
            registry=every,
            driver=every,
            replicas=every,
            journal=self,
            progress=self,
            claim=Claim(
                wanted.service,
                registry=every,
                holder="test",
                lock_s=TTL_S,
                clock=every,
                rest=rest,
                waits=self.waits,
                notices=self.notices,
            ),
            rest=rest,
            clock=every,
        )
        Deferred.fromCoroutine(self.replacement.run()).addCallbacks(self._end, self._fail)

    def _end(self, ended: Ended) -> None:
        self.ended = ended

    def _fail(self, failure: Any) -> None:
        self.failure = failure

    def kill(self) -> None:
        self.alive = False
        if self.lock_of_run is not None and self.world.lock is self.lock_of_run:
            # It goes back after its time to live.
            self.world.clock.callLater(TTL_S / 2, self.lock_of_run.release)

    def finish(self, within_s: float = 400.0) -> Ended:
        """Let time pass until it has ended."""
        end = self.world.clock.seconds() + within_s
        while self.ended is None and self.failure is None and self.world.clock.seconds() < end:
            self.world.step()
        if self.failure is not None:
            self.failure.raiseException()
        assert self.ended is not None, f"it has not ended: {self.waited[-3:]}"
        return self.ended

    # A clock that does not wake the dead.

    def seconds(self) -> float:
        return self.world.clock.seconds()

    def callLater(self, delay: float, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        def call() -> None:
            if self.alive:
                function(*args, **more)

        return self.world.clock.callLater(delay, call)

    def _after(self, work: Callable[[], Any], *, wait_s: float = 0.0, order: bool = False) -> Any:
        """Do something there and answer here, each after a moment."""
        answer: Deferred[Any] = Deferred(lambda _: None)
        rng = self.world.rng

        def arrived() -> None:
            if not self.alive and not (order and rng.random() < 0.5):
                return
            try:
                result = work()
            except (DriverError, RegistryError, ConnectFailed) as error:
                reply(answer.errback, error)
            except AssertionError as error:
                self.failure = error_of(error)
            else:
                reply(answer.callback, result)

        def reply(tell: Callable[[Any], None], result: Any) -> None:
            def heard() -> None:
                if not answer.called:
                    tell(result)

            self.callLater(wait_s + rng.uniform(0.001, 0.03), heard)

        self.world.clock.callLater(rng.uniform(0.001, 0.03), arrived)
        return answer

    # The registry.

    def endpoints(self) -> Deferred[list[Endpoint]]:
        self.looked_at = self.seconds()

        def listed() -> list[Endpoint]:
            if not self.world.registry_up:
                raise RegistryError("it is lost")
            return [] if self.world.registry_forgets else self.world.listed()

        found: Deferred[list[Endpoint]] = self._after(listed)
        return found

    def lock(self, name: str, holder: str) -> Deferred[FakeLock | None]:
        def take() -> FakeLock | None:
            if not self.world.registry_up:
                raise RegistryError("it is lost")
            if self.world.lock is not None:
                return None
            self.world.lock = self.lock_of_run = FakeLock(self.world)
            return self.world.lock

        taken: Deferred[FakeLock | None] = self._after(take)
        return taken

    def holder(self, name: str) -> Deferred[str]:
        def look() -> str:
            if not self.world.registry_up:
                raise RegistryError("it is lost")
            return "test" if self.world.lock is not None else ""

        found: Deferred[str] = self._after(look)
        return found

    # The driver.

    def _driven(self, work: Callable[[], Any], *, order: bool = True) -> Any:
        def if_up() -> Any:
            if not self.world.driver_up:
                raise DriverError("it is away")
            return work()

        return self._after(if_up, order=order)

    def built(self, service: str) -> Deferred[list[Built]]:
        found: Deferred[list[Built]] = self._driven(self.world.built, order=False)
        return found

    def build(self, build: Build) -> Deferred[None]:
        done: Deferred[None] = self._driven(lambda: self.world.build(build))
        return done

    def retire(self, replica: str) -> Deferred[None]:
        done: Deferred[None] = self._driven(lambda: self.world.retire(replica))
        return done

    def remove(self, replica: str) -> Deferred[None]:
        looked_at, journal = self.looked_at, self.world.journal
        done: Deferred[None] = self._driven(lambda: self.world.remove(replica, looked_at, journal))
        return done

    # The replicas.

    def _slot(self, endpoint: Endpoint) -> Slot:
        slot = self.world.slots[endpoint.replica]
        if slot.removed or not slot.lives:
            raise ConnectFailed("nobody is there")
        return slot

    def state(self, endpoint: Endpoint) -> Deferred[str]:
        slot = self.world.slots[endpoint.replica]
        if slot.hung:
            silent: Deferred[str] = self._after(lambda: "silent", wait_s=1.0)
            return silent
        said: Deferred[str] = self._after(
            lambda: (
                slot.state
                if slot.state in ("standby", "ready", "draining") and not slot.deaf
                else "unreachable"
            )
        )
        return said

    def figures(self, endpoint: Endpoint) -> Deferred[Figures]:
        def counted() -> Figures:
            slot = self._slot(endpoint)
            requests = 100.0 * (self.seconds() - slot.ready_at)
            failing = slot.quality == "fails-calls"
            return Figures(requests=requests, errors=requests if failing else 0.0)

        figures: Deferred[Figures] = self._after(counted)
        return figures

    def smoke(self, endpoint: Endpoint) -> Deferred[str]:
        def answered() -> str:
            try:
                bad = self._slot(endpoint).quality == "smokes-badly"
            except ConnectFailed as error:
                return str(error)
            return "500" if bad else ""

        said: Deferred[str] = self._after(answered)
        return said

    def announce(self, endpoint: Endpoint, weight: float) -> Deferred[None]:
        done: Deferred[None] = self._after(
            lambda: self.world.announce(self._slot(endpoint), weight), order=True
        )
        return done

    def drain(self, endpoint: Endpoint) -> Deferred[None]:
        looked_at, journal = self.looked_at, self.world.journal
        done: Deferred[None] = self._after(
            lambda: self.world.drain(self._slot(endpoint), looked_at, journal), order=True
        )
        return done

    # The journal, and whoever is told.

    def read(self) -> Journal | None:
        return self.world.journal

    def write(self, journal: Journal) -> None:
        if self.world.disk_full:
            raise NotKept("the journal cannot be written (No space left on device)")
        if self.alive:
            self.world.journal = journal
            self.phases.append(journal.phase)

    def clear(self) -> None:
        if self.alive:
            self.world.journal = None

    def found(self, journal: Journal | None) -> None:
        pass

    def looked(self, view: View, journal: Journal | None) -> None:
        pass

    def begins(self, steps: tuple[Step, ...]) -> None:
        pass

    def did(self, done: Done) -> None:
        pass

    def waits(self, why: str) -> None:
        self.waited.append(why)

    def notices(self, what: str) -> None:
        pass


def error_of(error: AssertionError) -> Any:
    from twisted.python.failure import Failure

    return Failure(error)


def wanted(**changes: Any) -> Wanted:
    """What a command line asks for: version 2, quickly."""
    made = Wanted(
        service="users",
        version="2",
        generation="k3f",
        bake_s=2.0,
        ready_s=8.0,
        leave_s=10.0,
        lease_s=4.0,
    )
    return replace(made, **changes)
