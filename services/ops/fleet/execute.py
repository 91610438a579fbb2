"""Does the steps of a plan, side by side; one that fails is told, and planned again if need be."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure

from balancer import CallError, Clock

from .drivers.interface import Driver, DriverError, ask
from .gather import Gatherer, Replicas
from .journal import JournalKeeper
from .plan.steps import Announce, Forget, Leave, Make, Note, Remove, Smoke, Step

# An engine elsewhere may take a while (seconds) to say that it has begun.
DRIVER_S = 120.0


class Done(NamedTuple):
    """What came of a step.

    Attributes:
        step: which.
        why: why it could not be done; "" when it was.
    """

    step: Step
    why: str


class Executor:
    """See the module."""

    def __init__(
        self,
        *,
        driver: Driver,
        replicas: Replicas,
        journal: JournalKeeper,
        gatherer: Gatherer,
        clock: Clock,
    ) -> None:
        """Take whom to tell.

        Args:
            driver: builds and removes.
            replicas: are announced and drained.
            journal: is written.
            gatherer: remembers what came of it.
            clock: monotonic.
        """
        self._driver = driver
        self._replicas = replicas
        self._journal = journal
        self._gatherer = gatherer
        self._clock = clock

    def execute(self, steps: tuple[Step, ...], told: Callable[[Done], None]) -> Deferred[Any]:
        """Do all steps.

        Args:
            steps: of one plan.
            told: called as each has ended.

        Returns:
            Fires when all have ended; fails with `NotKept` when the journal cannot be kept.
        """

        async def one(step: Step) -> None:
            try:
                await self._do(step)
            except (DriverError, CallError) as error:
                told(Done(step, str(error)))
            else:
                told(Done(step, ""))

        under_way = [Deferred.fromCoroutine(one(step)) for step in steps]
        return gatherResults(under_way, consumeErrors=True).addErrback(_first_failure)

    async def _do(self, step: Step) -> None:
        gatherer = self._gatherer
        match step:
            case Note():
                self._journal.write(step.journal)
            case Forget():
                self._journal.clear()
            case Make():
                try:
                    await self._driven(self._driver.build, step.build)
                except DriverError as error:
                    gatherer.faults[step.build.replica] = str(error)
                    raise
            case Smoke():
                name = step.endpoint.replica
                gatherer.smoked[name] = await self._replicas.smoke(step.endpoint)
            case Announce():
                await self._replicas.announce(step.endpoint, step.weight)
            case Leave():
                if step.built:
                    # First: a supervisor would start again what has just left.
                    await self._driven(self._driver.retire, step.replica)
                if step.endpoint is not None:
                    await self._replicas.drain(step.endpoint)
                    gatherer.told.add(step.replica)
            case Remove():
                await self._driven(self._driver.remove, step.replica)

    def _driven(self, method: Callable[..., Deferred[None]], *of: Any) -> Coroutine[Any, Any, None]:
        return ask(self._driver, DRIVER_S, self._clock, method, *of)


def _first_failure(failure: Failure) -> Failure:
    failure.trap(FirstError)
    first: Any = failure.value
    inner: Failure = first.subFailure
    return inner
