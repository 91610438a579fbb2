"""32 workers as tasks, for callers on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..items import IN_FLIGHT
from ..window import Order, Sample, Window, WrongAnswer


async def _load(
    order: Order,
    ask: Callable[[int], Awaitable[Any]],
    expected: Sequence[Any],
    *,
    measure: bool,
) -> Sample:
    window = Window(order.pids)
    seconds = order.seconds if measure else order.warm_up_s
    asyncio.get_running_loop().call_later(seconds, window.shut)

    async def worker(number: int) -> None:
        right = expected[number]
        while window.on:
            answer = await ask(number)
            if not measure and answer != right:
                raise WrongAnswer(f"{answer!r} instead of {right!r}")
            window.calls += 1

    await asyncio.gather(*[worker(number) for number in range(IN_FLIGHT)])
    return window.sample()


async def load(
    order: Order, ask: Callable[[int], Awaitable[Any]], expected: Sequence[Any]
) -> Sample:
    """Warm up, then measure.

    Args:
        order: what to do.
        ask: makes the call of a worker.
        expected: what each worker's answer must equal.
    """
    await _load(order, ask, expected, measure=False)
    return await _load(order, ask, expected, measure=True)
