"""One replacement under way: look, plan, do, again, until the plan says that it has ended.

All that decides is in `plan`; all that is remembered for the next run is in the journal. What is
here is patience: with a registry that is lost, with a lock that somebody else has, with replicas
that take their time; and how each of these ends when it lasts too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from balancer import Clock
from balancer.discovery import Registry

from .claim import Claim
from .drivers.interface import Driver, DriverError
from .ended import Ended
from .execute import Done, Executor
from .gather import Gatherer, Replicas
from .journal import Journal, JournalKeeper, NotKept
from .plan.plan import plan
from .plan.steps import Forget, Note, Outcome, Plan, Step
from .plan.view import View, Wanted
from .rest import Rest

# Between two looks (seconds). A look is a small question to each replica: a hundred are asked once
# a second, more of them every two.
_LOOK_S, _LOOK_EACH_S, _LOOK_MOST_S = 0.25, 0.01, 2.0
# After a step that failed (seconds): what did not work now may in a moment.
_AGAIN_S = 1.0
# What nothing but time can mend is waited for so long (seconds), without any step in between.
PATIENCE_S = 60.0


class Progress(Protocol):
    """Who is told how it goes."""

    def found(self, journal: Journal | None) -> None:
        """This is what an earlier command has left; None for nothing."""

    def looked(self, view: View, journal: Journal | None) -> None:
        """A look was taken."""

    def begins(self, steps: tuple[Step, ...]) -> None:
        """These are done now, side by side."""

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
        claim: Claim,
        rest: Rest,
        clock: Clock,
    ) -> None:
        """Take what is wanted and who does it.

        Args:
            wanted: what is asked for.
            registry: who is announced.
            driver: builds and removes.
            replicas: are asked and told.
            journal: is kept for the next run.
            progress: is told.
            claim: one replacement a service at a time.
            rest: between two looks.
            clock: monotonic.
        """
        self._wanted = wanted
        self._keeper = journal
        self._progress = progress
        self._clock = clock
        self._rest = rest
        self._claim = claim
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
        self._still_since = clock.seconds()

    def stop(self) -> None:
        """Have it undone if the new ones have not yet proved well, and finished otherwise."""
        self._wanted = replace(self._wanted, stop=True)
        self._rest.wake()

    async def leave(self, why: str) -> None:
        """Leave it as it is, for the next run.

        Args:
            why: what that is told.
        """
        await self._claim.give_up(why)

    async def run(self) -> Ended:
        """Do it.

        Returns:
            How it ended. The lock has been given back.

        Raises:
            Failed: the journal cannot be read.
        """
        left = self._keeper.read()
        self._progress.found(left)
        ended = await self._claim.take(patient=left is not None)
        if ended is not None:
            return ended
        # Only with the lock it is sure that nobody else writes it.
        self._journal = self._keeper.read()
        self._progress.found(self._journal)
        self._still_since = self._clock.seconds()
        while ended is None:
            ended = await self._keep_lock() or await self._round()
        await self._claim.release(ended.why if ended.outcome is Outcome.UNFINISHED else "")
        return ended

    async def _keep_lock(self) -> Ended | None:
        """See to it that the lock is held; others may have had it meanwhile."""
        if self._claim.held:
            return None
        ended = await self._claim.take(patient=True)
        if ended is None and self._keeper.read() != self._journal:
            why = "the lock was lost, and somebody else has gone on meanwhile"
            return Ended(Outcome.UNFINISHED, why)
        return ended

    async def _round(self) -> Ended | None:
        """Look, plan, do, rest."""
        try:
            view = await self._gatherer.look(self._journal)
        except DriverError as error:
            if self._journal is None:
                return Ended(Outcome.REFUSED, str(error))
            decided = Plan(waiting=str(error), stuck=True)
        else:
            decided = plan(view, self._wanted, self._journal, self._clock.seconds())
            self._progress.looked(view, self._journal)
        if not self._claim.held:
            return None  # it was lost while we looked
        before = self._journal
        try:
            done = await self._do(decided)
        except NotKept as error:
            return Ended(_left(before), str(error))
        if decided.ended is not None:
            return Ended(decided.ended, decided.why, decided.failed)
        if self._waited_in_vain(decided, done):
            return Ended(_left(before), decided.waiting)
        if self._journal is before:
            await self._pause(done)
        return None

    async def _do(self, decided: Plan) -> Sequence[Done]:
        done: list[Done] = []

        def told(one: Done) -> None:
            done.append(one)
            self._progress.did(one)

        if decided.steps:
            self._progress.begins(decided.steps)
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

    async def _pause(self, done: Sequence[Done]) -> None:
        wait_s = min(_LOOK_MOST_S, max(_LOOK_S, _LOOK_EACH_S * len(self._gatherer.known)))
        if any(each.why for each in done):
            wait_s = max(wait_s, _AGAIN_S)
        await self._rest.sleep(wait_s)


def _left(journal: Journal | None) -> Outcome:
    """How a command ends that cannot go on."""
    return Outcome.REFUSED if journal is None else Outcome.UNFINISHED
