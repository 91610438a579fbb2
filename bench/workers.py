"""What ``--workers`` brings: calls a second of one replica with one worker and with two.

The replicas are those of an operator: ``twistd``, a master and its workers, admin port, log and
registry. Handlers are the bare one, whose cost is that of the kit, and one that works for 200 us.
The cases of a round run in turn, and ratios are of cases of one round.

The load is `bench.callers.lean` with 32 connections. It needs a core's share as well, and so do
neighbours; with as many workers as cores that share is missing to them. So there are two ratios.
One is of calls a second, as they came. The other is what the workers' own CPU time says: how many
times the calls of one worker there are when the busiest worker has a core for itself. That holds
what a call costs and how evenly the workers share, and nothing of who else wanted the cores.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from .cpu import cores, cpu_ns
from .process import Child, PeerFailed
from .window import Order, Sample

_ROOT = Path(__file__).resolve().parents[1]
_START_S = 30.0
_END_S = 10.0
# Of the handler whose scaling is promised, in CPU microseconds.
COST_US = 200


class WorkersCase(NamedTuple):
    """One way to serve.

    Attributes:
        cost_us: of the handler, in CPU microseconds.
        workers: how many; 0 for a replica of one process, without the option.
    """

    cost_us: int
    workers: int


CASES = tuple(WorkersCase(cost_us, workers) for cost_us in (0, COST_US) for workers in (0, 1, 2))


class WorkersRow(NamedTuple):
    """One case: medians over the rounds.

    Attributes:
        case: which.
        calls_per_s: throughput.
        server_us: CPU microseconds a call of master and workers.
        caller_us: those of the load.
        caller_share: the load's part of all the CPU time that was used.
        busy_cores: how many cores were busy in all.
        scaling: throughput by that of one worker with the same handler, in the same round.
        least: the smallest of those ratios.
        greatest: the greatest of those ratios.
        cpu_scaling: the same by CPU time; see the module.
    """

    case: WorkersCase
    calls_per_s: float
    server_us: float
    caller_us: float
    caller_share: float
    busy_cores: float
    scaling: float
    least: float
    greatest: float
    cpu_scaling: float


class _Taken(NamedTuple):
    """One window.

    Attributes:
        sample: what it showed.
        busy_workers: the CPU time of all workers by that of the busiest.
    """

    sample: Sample
    busy_workers: float


def measure_workers(rounds: int, seconds: float, say: Callable[[str], None]) -> list[WorkersRow]:
    """Run all cases in turn, several times.

    Args:
        rounds: how often.
        seconds: how long each window is.
        say: told before each.

    Raises:
        PeerFailed: a replica did not start, or broke.
    """
    samples: dict[WorkersCase, list[_Taken]] = {case: [] for case in CASES}
    for number in range(1, rounds + 1):
        for case, taken in samples.items():
            say(f"round {number} of {rounds}: {case.workers} workers, {case.cost_us} us")
            taken.append(_measure(case, min(0.5, seconds), seconds))
    return [_row(case, taken, samples[case._replace(workers=1)]) for case, taken in samples.items()]


def _row(case: WorkersCase, every: Sequence[_Taken], of_one: Sequence[_Taken]) -> WorkersRow:
    taken = [each.sample for each in every]
    ratios = [
        sample.calls_per_s / one.sample.calls_per_s
        for sample, one in zip(taken, of_one, strict=True)
    ]
    cpu_ratios = [
        each.busy_workers * one.sample.server_us / each.sample.server_us
        for each, one in zip(every, of_one, strict=True)
    ]
    return WorkersRow(
        case,
        calls_per_s=median(sample.calls_per_s for sample in taken),
        server_us=median(sample.server_us for sample in taken),
        caller_us=median(sample.caller_us for sample in taken),
        caller_share=median(
            sample.caller_ns / (sample.caller_ns + sample.server_ns) for sample in taken
        ),
        busy_cores=median(
            (sample.caller_ns + sample.server_ns) / sample.wall_s / 1e9 for sample in taken
        ),
        scaling=median(ratios),
        least=min(ratios),
        greatest=max(ratios),
        cpu_scaling=median(cpu_ratios),
    )


def _measure(case: WorkersCase, warm_up_s: float, seconds: float) -> _Taken:
    # The load stays on one core; the processes go where the system puts them, as they do at work.
    with _replica(case) as (address, pids), Child(cores()[1], "callers", "lean") as caller:
        caller.hear(_START_S)
        order = Order(addresses=[address], pids=pids, warm_up_s=warm_up_s, seconds=seconds)
        workers = pids[1:] or pids
        before = [cpu_ns(pid) for pid in workers]
        caller.tell(msgspec.json.encode(order))
        line = caller.hear(_START_S + warm_up_s + seconds)
        used = [cpu_ns(pid) - was for pid, was in zip(workers, before, strict=True)]
        return _Taken(msgspec.json.decode(line, type=Sample), sum(used) / max(used))


@contextmanager
def _replica(case: WorkersCase) -> Iterator[tuple[str, list[int]]]:
    """Run one; its address and all its processes."""
    path = os.pathsep.join([str(_ROOT / "bench" / "costly"), str(_ROOT)])
    workers = ["--workers", str(case.workers)] if case.workers else []
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [
                *(sys.executable, str(Path(sys.executable).with_name("twistd")), "-n"),
                *("--pidfile=", "--reactor=mesh", "mesh-costly", *workers),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "COSTLY_US": str(case.cost_us)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        try:
            yield _address(process), [process.pid, *_workers(process.pid)]
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _address(process: subprocess.Popen[bytes]) -> str:
    """Where it serves, from its log."""
    assert process.stdout is not None
    words: list[str] = []
    while select.select([process.stdout], [], [], _START_S)[0]:
        line = process.stdout.readline().decode("utf-8", "replace")
        words.append(line)
        if '"address": ' in line:
            return str(msgspec.json.decode(line)["address"])
        if not line:
            break
    raise PeerFailed(f"the replica did not start. Its last words:\n{''.join(words[-12:])}")


def _workers(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in listed.split()]
