"""32 workers as Deferred coroutines, for callers on Twisted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.python.failure import Failure

from ..items import IN_FLIGHT
from ..window import Order, Sample, Window, WrongAnswer


async def _load(
    reactor: Any,
    order: Order,
    ask: Callable[[int], Awaitable[Any]],
    expected: Sequence[Any],
    *,
    measure: bool,
) -> Sample:
    window = Window(order.pids)
    reactor.callLater(order.seconds if measure else order.warm_up_s, window.shut)

    async def worker(number: int) -> None:
        right = expected[number]
        while window.on:
            answer = await ask(number)
            if not measure and answer != right:
                raise WrongAnswer(f"{answer!r} instead of {right!r}")
            window.calls += 1

    workers = [ensureDeferred(worker(number)) for number in range(IN_FLIGHT)]
    await gatherResults(workers, consumeErrors=True)
    return window.sample()


def run(
    reactor: Any, order: Order, ask: Callable[[int], Awaitable[Any]], expected: Sequence[Any]
) -> Sample:
    """Warm up, measure, and stop the reactor.

    Args:
        reactor: the process's, not yet running.
        order: what to do.
        ask: makes the call of a worker.
        expected: what each worker's answer must equal.
    """
    samples: list[Sample] = []
    failures: list[Failure] = []

    async def both() -> None:
        await _load(reactor, order, ask, expected, measure=False)
        samples.append(await _load(reactor, order, ask, expected, measure=True))

    def start() -> None:
        done = ensureDeferred(both()).addErrback(failures.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    for failure in failures:
        failure.raiseException()
    return samples[0]
