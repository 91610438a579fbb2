"""One replacement under way: look, plan, do, again, until the plan says that it has ended.

All that decides is in `plan`; all that is remembered for the next run is in the journal. What is
here is patience: with a registry that is lost, with a lock that somebody else has, with replicas
that take their time; and how each of these ends when it lasts too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from balancer import Clock, RegistryError
from balancer.discovery import Lock, Registry

from .driver import Driver, DriverError
from .execute import Done, Executor
from .gather import Gatherer, Replicas
from .journal import Journal, JournalKeeper
from .plan import plan
from .steps import Forget, Note, Outcome, Plan
from .view import View, Wanted

# Between two looks (seconds). A look is a small question to each replica: a hundred are asked once
# a second, more of them every two.
_LOOK_S, _LOOK_EACH_S, _LOOK_MOST_S = 0.25, 0.01, 2.0
# After a step that failed (seconds): what did not work now may in a moment.
_AGAIN_S = 1.0
# What nothing but time can mend is waited for so long (seconds), without any step in between.
PATIENCE_S = 60.0


class Ended(NamedTuple):
    """How it ended.

    Attributes:
        outcome: how.
        why: for people; "" when there is nothing to say.
    """

    outcome: Outcome
    why: str = ""


class Progress(Protocol):
    """Who is told how it goes."""

    def looked(self, view: View, journal: Journal | None, decided: Plan) -> None:
        """A look was taken, and this is to be done."""

    def did(self, done: Done) -> None:
        """A step has ended."""

    def waits(self, why: str) -> None:
        """Nothing can be done for now."""


class Replacement:
    """See the module."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        registry: Registry,
        driver: Driver,
        replicas: Replicas,
        journal: JournalKeeper,
        progress: Progress,
        clock: Clock,
        holder: str,
        lock_s: float,
    ) -> None:
        """Take what is wanted and who does it.

        Args:
            wanted: what is asked for.
            registry: who is announced, and the lock.
            driver: builds and removes.
            replicas: are asked and told.
            journal: is kept for the next run.
            progress: is told.
            clock: monotonic.
            holder: who this is, for whoever finds the lock taken.
            lock_s: how long a dead holder's lock may stay, in seconds.
        """
        self._wanted = wanted
        self._registry = registry
        self._keeper = journal
        self._progress = progress
        self._clock = clock
        self._holder = holder
        self._lock_s = lock_s
        self._lock: Lock | None = None
        self._journal: Journal | None = None
        self._gatherer = Gatherer(
            wanted.service, registry=registry, driver=driver, replicas=replicas, clock=clock
        )
        self._executor = Executor(
            driver=driver,
            replicas=replicas,
            journal=journal,
            gatherer=self._gatherer,
            clock=clock,
        )
        self._pause: Deferred[None] | None = None
        self._still_since = clock.seconds()

    def stop(self) -> None:
        """Have it undone if the new ones have not yet proved well, and finished otherwise."""
        self._wanted = replace(self._wanted, stop=True)
        if self._pause is not None:
            self._pause.cancel()

    async def run(self) -> Ended:
        """Do it.

        Returns:
            How it ended. The lock has been given back.

        Raises:
            Failed: the journal cannot be read.
        """
        ended = await self._take_lock(patient=self._keeper.read() is not None)
        if ended is not None:
            return ended
        # Only with the lock it is sure that nobody else writes it.
        self._journal = self._keeper.read()
        self._still_since = self._clock.seconds()
        while ended is None:
            ended = await self._keep_lock() or await self._round()
        if self._lock is not None:
            note = ended.why if ended.outcome is Outcome.UNFINISHED else ""
            with suppress(RegistryError):  # then it goes back by itself
                await self._lock.release(note[:4096])
        return ended

    async def _keep_lock(self) -> Ended | None:
        """See to it that the lock is held; others may have had it meanwhile."""
        if self._lock is not None:
            return None
        ended = await self._take_lock(patient=True)
        if ended is None and self._keeper.read() != self._journal:
            why = "the lock was lost, and somebody else has gone on meanwhile"
            return Ended(Outcome.UNFINISHED, why)
        return ended

    async def _round(self) -> Ended | None:
        """Look, plan, do, rest."""
        try:
            view = await self._gatherer.look(self._journal)
        except DriverError as error:
            decided = Plan(waiting=str(error), stuck=True)
        else:
            decided = plan(view, self._wanted, self._journal, self._clock.seconds())
            self._progress.looked(view, self._journal, decided)
        if self._lock is None:
            return None  # it was lost while we looked
        before = self._journal
        try:
            done = await self._do(decided)
        except OSError as error:
            return _not_kept(error, before)
        if decided.ended is not None:
            return Ended(decided.ended, decided.why)
        if self._waited_in_vain(decided, done):
            outcome = Outcome.REFUSED if before is None else Outcome.UNFINISHED
            return Ended(outcome, decided.waiting)
        if self._journal is before:
            await self._rest(done)
        return None

    async def _do(self, decided: Plan) -> Sequence[Done]:
        done: list[Done] = []

        def told(one: Done) -> None:
            done.append(one)
            self._progress.did(one)

        if decided.steps:
            await self._executor.execute(decided.steps, told)
        elif decided.waiting:
            self._progress.waits(decided.waiting)
        for step in decided.steps:
            if isinstance(step, Note):
                self._journal = step.journal
            elif isinstance(step, Forget):
                self._journal = None
        return done

    def _waited_in_vain(self, decided: Plan, done: Sequence[Done]) -> bool:
        now = self._clock.seconds()
        if not decided.stuck or any(not each.why for each in done):
            self._still_since = now
        return now - self._still_since >= PATIENCE_S

    async def _rest(self, done: Sequence[Done]) -> None:
        count = len(self._gatherer.known)
        wait_s = min(_LOOK_MOST_S, max(_LOOK_S, _LOOK_EACH_S * count))
        if any(each.why for each in done):
            wait_s = max(wait_s, _AGAIN_S)
        await self._sleep(wait_s)

    async def _sleep(self, wait_s: float) -> None:
        clock: Any = self._clock
        self._pause = deferLater(clock, wait_s)
        # It is cancelled to have it end at once.
        await self._pause.addErrback(lambda _: None)
        self._pause = None

    async def _take_lock(self, *, patient: bool) -> Ended | None:
        """Take the service's lock.

        Args:
            patient: whether to wait for a registry that is lost, and until a dead holder's lock
                has gone back: a replacement is under way.

        Returns:
            None when it is taken.
        """
        name = f"replace.{self._wanted.service}"
        end: float | None = None
        while True:
            try:
                self._lock = await self._registry.lock(name, self._holder)
            except RegistryError as error:
                if not patient:
                    return Ended(Outcome.REFUSED, str(error))
                self._progress.waits(f"the registry's locks cannot be had ({error})")
            else:
                if self._lock is not None:
                    self._lock.lost.addCallback(self._lost, self._lock)
                    return None
                now = self._clock.seconds()
                end = now + (self._lock_s if patient else 0.0) if end is None else end
                if now >= end:
                    return Ended(
                        Outcome.BUSY,
                        f"another replacement of {self._wanted.service} is running: it holds the "
                        f"lock {name} of {self._registry.url}",
                    )
                self._progress.waits(f"the lock {name} is somebody else's")
            await self._sleep(_AGAIN_S)

    def _lost(self, _: None, lock: Lock) -> None:
        if self._lock is lock:
            self._lock = None


def _not_kept(error: OSError, journal: Journal | None) -> Ended:
    why = f"the journal cannot be written ({error.strerror or error}); make room, and run it again"
    return Ended(Outcome.REFUSED if journal is None else Outcome.UNFINISHED, why)
