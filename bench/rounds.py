"""Runs cases: all of them in turn, then all again.

In turn, so that a noisy minute falls on every peer; with new processes each time, so that a
process that was lucky with its memory layout counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

import msgspec

from .cases import Case
from .cpu import cores
from .process import Child
from .window import Order, Sample

_START_S = 30.0


def measure(case: Case, warm_up_s: float, seconds: float) -> Sample:
    """Run one case once.

    Args:
        case: who serves and who calls.
        warm_up_s: before the window, in seconds.
        seconds: of the window.

    Raises:
        PeerFailed: a server or caller did not start, or broke.
    """
    server_core, caller_core = cores()
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Child(server_core, "servers", case.server))
            for _ in range(case.replicas)
        ]
        caller = stack.enter_context(Child(caller_core, "callers", case.caller))
        caller.hear(_START_S)
        order = Order(
            addresses=[server.hear(_START_S).decode("ascii") for server in servers],
            pids=[server.pid for server in servers],
            warm_up_s=warm_up_s,
            seconds=seconds,
        )
        caller.tell(msgspec.json.encode(order))
        line = caller.hear(_START_S + warm_up_s + seconds)
        return msgspec.json.decode(line, type=Sample)


def run(
    cases: Iterable[Case],
    rounds: int,
    warm_up_s: float,
    seconds: float,
    progress: Callable[[int, Case], None],
) -> dict[Case, list[Sample]]:
    """Run all cases in turn, several times.

    Args:
        cases: in order.
        rounds: how often.
        warm_up_s: before each window, in seconds.
        seconds: of each window.
        progress: told before each: the round from 1, and the case.

    Returns:
        A sample a round for each case.
    """
    samples: dict[Case, list[Sample]] = {case: [] for case in cases}
    for number in range(1, rounds + 1):
        for case, taken in samples.items():
            progress(number, case)
            taken.append(measure(case, warm_up_s, seconds))
    return samples
