"""A job over three replicas in a hostile world, in virtual time: never twice at once, never missed.

The schedule is the real one; clock, registry, job and replicas are doubles. Replicas are killed,
frozen, started and stopped, the registry is lost for all or for one of them, locks are lost, runs
fail or take too long, and clocks are set. Two kinds of registry: one keeps locks as a kernel does
(they go with the process, and a frozen one keeps them), the other by a time to live.

What a lock with a time to live cannot do is taken as given: a process that was frozen for longer
hears that its lock is lost before anything else.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock, deferLater
from twisted.logger import Logger

from balancer import RegistryError
from balancer.testing import FakeRegistry
from services.kit.schedule import Every, Job, Run, Schedule
from services.kit.schedule.runner import (
    JITTER_MOST_S,
    JITTER_SHARE,
    LOOK_LEAST_S,
    LOOK_MOST_S,
    RECHECK_S,
)

START = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
LOCK = "job.shop._work"
PERIODS = 200
# How far the clocks of several machines differ, as a share of the period.
SKEW = 0.2


class Timer:
    """A replica's timer: it is heard while the replica lives, and after it was frozen."""

    def __init__(self, replica: Replica, delay: float, call: Callable[[], Any]) -> None:
        self._replica = replica
        self._call = call
        self._pending = True
        self._inner = replica.world.clock.callLater(delay, self.fire)

    def active(self) -> bool:
        return self._pending

    def cancel(self) -> None:
        self._pending = False
        if self._inner.active():
            self._inner.cancel()

    def fire(self) -> None:
        if self._pending and self._replica.frozen:
            self._replica.held.append(self.fire)
        elif self._pending and self._replica.alive:
            self._pending = False
            self._call()


class Held:
    """A lock in the hand of a replica."""

    def __init__(self, replica: Replica, lock: Any) -> None:
        self.note = lock.note
        self.lost: Deferred[None] = Deferred()
        self.inner = lock
        self._replica = replica

    def release(self, note: str | None = None) -> Deferred[None]:
        replica = self._replica
        if not replica.reaches:
            replica.world.untold = True
            return fail(RegistryError("out of reach"))
        replica.lock = None
        released: Deferred[None] = self.inner.release(note)
        return released


class Replica:
    """One process: what it hears of clock and registry, and its run of the job."""

    def __init__(self, world: World, name: str, skew_s: float) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen = False
        self.reaches = True
        self.contends = False
        self.held: list[Callable[[], None]] = []
        self.lock: Held | None = None
        self.running: float | None = None
        # How often it has come back and renewed its lock: what was to expire before does not.
        self.renewals = 0
        self._skew_s = skew_s
        self.schedule = Schedule(
            "shop",
            [Job(self._work, Every(world.period_s), on="one")],
            None,
            registry=Reach(self),  # type: ignore[arg-type]  # all that a schedule asks of one
            holder=name,
            clock=self,  # type: ignore[arg-type]
            wall=self._wall,
            rng=random.Random(world.rng.random()),
            log=Logger("test", observer=cast("Any", world.log)),
        )

    # What the schedule sees.

    def seconds(self) -> float:
        return self.world.clock.seconds()

    def callLater(self, delay: float, call: Any, *args: Any, **kwargs: Any) -> Timer:
        return Timer(self, delay, lambda: call(*args, **kwargs))

    def _wall(self) -> datetime:
        return datetime.fromtimestamp(
            START + self.seconds() + self.world.shift_s + self._skew_s, UTC
        )

    async def _work(self, run: Run[None]) -> None:
        world = self.world
        world.begin(self, run.slot.timestamp())
        try:
            await deferLater(self, world.lasts_s(), lambda: None)  # type: ignore[arg-type]
        except CancelledError:
            # Only this: a dead one's run is never told of its end.
            world.end(self, "cut")
            raise
        if world.rng.random() < world.fails:
            world.end(self, "failed")
            raise RuntimeError
        world.end(self, "finished")

    def hear(self, call: Callable[[], None]) -> None:
        """Something from outside."""
        if self.frozen:
            self.held.insert(0, call)
        elif self.alive:
            call()

    @property
    def able(self) -> bool:
        """Whether it would run the job if it had the lock."""
        return self.alive and self.contends and not self.frozen and self.reaches


class Reach:
    """The registry, as far as a replica reaches it."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def lock(self, name: str, holder: str) -> Deferred[Any]:
        replica = self._replica

        def held(lock: Any) -> Held | None:
            if lock is not None:
                replica.lock = Held(replica, lock)
            return replica.lock

        if not replica.reaches:
            return fail(RegistryError("out of reach"))
        return replica.world.registry.lock(name, holder).addCallback(held)


class World:
    """Time, the registry, three replicas, and what is checked."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.kernel = seed % 2 == 0
        self.period_s = rng.choice([0.25, 1.0, 10.0, 60.0])
        self.ttl_s = rng.uniform(0.5, 3.0) * self.period_s
        self.fails = rng.choice([0.0, 0.0, 0.1])
        self.steps = rng.random() < 0.4
        self.clock = Clock()
        self.registry = FakeRegistry()
        self.shift_s = 0.0
        self.failures: list[str] = []
        self.counts: Counter[str] = Counter()
        # The time since the last run's end in which one could have begun.
        self.open_s = 0.0
        # In periods, while nobody sets the clock.
        self.longest = 0.0
        self.untold = False
        self.stepped = False
        # When the clock was set, and when the last run began that left its note.
        self._steps: list[float] = []
        self._noted = 0.0
        self._begun = 0.0
        self.finished: Counter[float] = Counter()
        self.runner: Replica | None = None
        self.replicas: list[Replica] = []
        self._graves: list[Replica] = []
        self._started = 0
        for index in range(3):
            self.start(index, standby_s=0.0)

    def log(self, event: Any) -> None:
        failure = event.get("log_failure")
        if failure is not None and not failure.check(RuntimeError):
            self.failures.append(failure.getTraceback())

    # What replicas do.

    def lasts_s(self) -> float:
        if self.rng.random() < 0.03:
            return self.rng.uniform(1.0, 3.0) * self.period_s
        return self.rng.uniform(0.01, 0.6) * self.period_s

    def begin(self, replica: Replica, slot: float) -> None:
        before = self.runner
        # One that is frozen and whose lock has run out does nothing; it hears of it first.
        asleep = before is not None and before.frozen and before.lock is None
        assert before is None or asleep, f"{before.name} runs, and {replica.name} begins"
        excused = self.untold or self.stepped
        assert excused or not self.finished[slot], f"slot {slot} is run again"
        self.check_gap()
        self.open_s = 0.0
        self._begun = self.clock.seconds()
        self.runner = replica
        replica.running = slot
        self.counts["runs"] += 1

    def end(self, replica: Replica, how: str) -> None:
        slot, replica.running = replica.running, None
        assert slot is not None
        if self.runner is replica:
            self.runner = None
        self.counts[how] += 1
        if how == "finished":
            self.finished[slot] += 1
            if replica.reaches:
                self._noted = self._begun

    def check_gap(self) -> None:
        if not self.steps_since():
            self.longest = max(self.longest, self.open_s / self.period_s)
        bound = self.period_s + min(self.period_s * JITTER_SHARE, JITTER_MOST_S)
        bound += max(min(self.period_s / 2, LOOK_MOST_S), LOOK_LEAST_S) + 0.01 * self.period_s
        # A clock that is set back by less than two periods is taken for one that is a little
        # behind; it is waited for.
        bound += self.steps_since() * (2 * self.period_s + min(RECHECK_S, self.period_s))
        # Of several machines' clocks, the one that is ahead may be the one that dies.
        bound += 2 * SKEW * self.period_s if self.skewed else 0.0
        assert self.open_s <= bound, f"missed for {self.open_s / self.period_s:.2f} periods"

    def steps_since(self) -> int:
        """How often the clock was set since what is known was last known anew.

        Who sleeps meanwhile still has in mind what was known before, for some periods.
        """
        return sum(at > self._noted - 3 * self.period_s for at in self._steps)

    @property
    def skewed(self) -> bool:
        return not self.kernel

    # What happens to replicas.

    def start(self, index: int, standby_s: float) -> None:
        self._started += 1
        skew_s = 0.0 if self.kernel else self.rng.uniform(-SKEW, SKEW) * self.period_s
        replica = Replica(self, f"{index}.{self._started}", skew_s)
        self.replicas[index : index + 1] = [replica]
        replica.schedule.start()

        def contend() -> None:
            replica.contends = True
            replica.schedule.contend()

        replica.callLater(standby_s, contend)

    def kill(self, index: int) -> None:
        replica = self.replicas[index]
        if not replica.alive:
            return
        self.counts["kills"] += 1
        self.counts["kills of the runner"] += self.runner is replica
        replica.alive = replica.frozen = False
        if self.runner is replica:
            self.runner = None
        self._graves.append(replica)
        self.abandon(replica)
        wait_s = self.rng.uniform(0.3, 3.0) * self.period_s
        standby_s = self.rng.choice([0.0, self.period_s])
        self.clock.callLater(wait_s, self.start, index, standby_s)

    def abandon(self, replica: Replica, *, tell: bool = False) -> None:
        """What becomes of the lock of one that renews it no more."""
        lock = replica.lock
        if lock is None:
            return
        if self.kernel:
            if not replica.alive:
                replica.lock = None
                self.registry.unlock(LOCK)
            return
        rest_s = self.rng.uniform(2 / 3, 1.0) * self.ttl_s
        silence = replica.renewals
        if tell:
            self.clock.callLater(rest_s * 0.9, self._lost, replica, lock, silence)
        self.clock.callLater(rest_s, self._expire, replica, lock, silence)

    def _lost(self, replica: Replica, lock: Held, silence: int) -> None:
        if replica.lock is lock and replica.renewals == silence:
            replica.hear(lambda: lock.lost.callback(None))

    def _expire(self, replica: Replica, lock: Held, silence: int) -> None:
        if replica.lock is lock and replica.renewals == silence:
            replica.lock = None
            self.registry.unlock(LOCK)
            if replica.frozen and not lock.lost.called:
                replica.hear(lambda: None if lock.lost.called else lock.lost.callback(None))

    def freeze(self, index: int) -> None:
        replica = self.replicas[index]
        if not replica.alive or replica.frozen or not replica.reaches:
            return
        self.counts["freezes"] += 1
        replica.frozen = True
        self.abandon(replica)

        def thaw() -> None:
            if replica.alive:
                replica.frozen = False
                replica.renewals += 1
                held, replica.held = replica.held, []
                for call in held:
                    call()

        self.clock.callLater(self.rng.uniform(0.2, 3.0) * self.period_s, thaw)

    def cut_off(self, *indexes: int) -> None:
        cut = [self.replicas[index] for index in indexes]
        cut = [one for one in cut if one.alive and one.reaches and not one.frozen]
        self.counts["registry losses"] += 1
        for replica in cut:
            replica.reaches = False
            self.abandon(replica, tell=True)

        def back() -> None:
            for replica in cut:
                replica.reaches = True
                replica.renewals += replica.alive
                if replica.lock is not None and self.runner is not replica:
                    # Its release had failed, and nobody renews it.
                    replica.lock = None
                    self.registry.unlock(LOCK)

        self.clock.callLater(self.rng.uniform(0.2, 3.0) * self.period_s, back)

    def lose_lock(self) -> None:
        runner = self.runner
        if runner is None or runner.lock is None or runner.frozen or not runner.reaches:
            return
        self.counts["locks lost"] += 1
        lock, runner.lock = runner.lock, None
        lock.lost.callback(None)
        self.registry.unlock(LOCK)

    def leave(self, index: int) -> None:
        replica = self.replicas[index]
        if not replica.able or self.runner is replica:
            return
        self.counts["drains"] += 1
        replica.contends = False
        replica.schedule.stop(self.period_s)
        standby_s = self.rng.choice([0.0, self.period_s])
        self.clock.callLater(2 * self.period_s, self._replace, index, replica, standby_s)

    def _replace(self, index: int, replica: Replica, standby_s: float) -> None:
        if replica.alive and self.replicas[index] is replica:
            replica.alive = False
            self._graves.append(replica)
            self.start(index, standby_s)

    def step(self) -> None:
        if self.steps:
            self.counts["clock steps"] += 1
            self.stepped = True
            self._steps.append(self.clock.seconds())
            self.shift_s += self.rng.uniform(-3.0, 3.0) * self.period_s

    def harm(self) -> None:
        """Something happens."""
        rng = self.rng
        index = rng.randrange(3)
        event = rng.choice(["kill", "kill runner", "freeze", "cut", "lose", "leave", "step", "all"])
        if event == "kill":
            self.kill(index)
        elif event == "kill runner" and self.runner is not None:
            self.kill(self.replicas.index(self.runner))
        elif event == "freeze":
            self.freeze(index)
        elif event == "cut":
            self.cut_off(index)
        elif event == "all" and rng.random() < 0.5:
            self.cut_off(0, 1, 2)
        elif event == "lose":
            self.lose_lock()
        elif event == "leave":
            self.leave(index)
        elif event == "step":
            self.step()

    # Time.

    def advance(self, seconds: float) -> None:
        end = self.clock.seconds() + seconds
        while True:
            due = [call.getTime() for call in self.clock.getDelayedCalls()]
            at = min(min(due, default=end), end)
            passed = at - self.clock.seconds()
            if self._open():
                self.open_s += passed
            self.clock.advance(passed)
            assert not self.failures, self.failures[0]
            if at >= end:
                self.check_gap()
                return

    def _open(self) -> bool:
        """Whether a run could begin: somebody is able to, and nobody keeps the lock."""
        if self.runner is not None and not (self.runner.frozen and self.runner.lock is None):
            return False
        stuck = any(
            one.lock is not None and not (one.alive and one.reaches and not one.frozen)
            for one in [*self.replicas, *self._graves]
        )
        return not stuck and any(one.able for one in self.replicas)

    def run(self) -> None:
        """All the periods, with harm; then some in peace."""
        end = PERIODS * self.period_s
        while self.clock.seconds() < end:
            self.advance(self.rng.expovariate(1 / (0.9 * self.period_s)))
            self.harm()
        self.fails = 0.0
        self.advance(10 * self.period_s)
        runs = self.counts["runs"]
        self.advance(20 * self.period_s)
        # Long runs leave out the slots that they cover.
        assert 12 <= self.counts["runs"] - runs <= 21


def explore(seeds: range) -> Counter[str]:
    total: Counter[str] = Counter()
    longest = 0.0
    for seed in seeds:
        world = World(seed)
        try:
            world.run()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, period {world.period_s}: {error}") from error
        total += world.counts
        longest = max(longest, world.longest)
    print(
        f"\n{len(seeds)} seeds of {PERIODS} periods: {dict(total)}; the longest time in which a run "
        f"could have begun and did not is {longest:.2f} periods"
    )
    return total


def test_some_worlds() -> None:
    counts = explore(range(6))
    # That there was harm, or there would be nothing to hold.
    assert min(counts[what] for what in ("kills of the runner", "freezes", "locks lost")) > 10


@pytest.mark.slow
def test_many_worlds() -> None:
    explore(range(6, 150))
