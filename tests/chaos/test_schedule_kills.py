"""A job over three real replicas that are killed at random: never twice at once, never missed."""

from __future__ import annotations

import json
import math
import random
import shutil
import signal
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.processes import Child, children, sleep
from tests.redis_servers import RedisServer

SOURCE = Path(__file__).with_name("ticking")


@dataclass
class Ran:
    """One run, by the machine's monotonic clock.

    Attributes:
        slot: the number of its slot.
        ended: its end, or the moment before its process was killed.
    """

    slot: int
    began: float
    ended: float
    finished: bool


class Trio:
    """Three replicas, each of which is started anew when it has been killed.

    Attributes:
        killed: the moment before each kill, by process.
    """

    def __init__(self, start: Any, file: Path, period_s: float) -> None:
        self._start = start
        self._file = file
        self._period_s = period_s
        self._count = 0
        self.killed: dict[int, float] = {}
        self.children = [self._begin() for _ in range(3)]

    def _begin(self) -> Child:
        self._count += 1
        environ = {"TICKING_FILE": str(self._file), "TICKING_PERIOD_S": str(self._period_s)}
        name = f"ticking-{self._count}"
        child: Child = self._start("ticking", name, "--config", "mesh.toml", environ=environ)
        return child

    def ready(self) -> list[Child]:
        return [child for child in self.children if child.event(" serves ")]

    def events(self) -> list[dict[str, Any]]:
        text = self._file.read_text() if self._file.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def runner(self) -> Child | None:
        """Whose run has begun and not ended."""
        events = self.events()
        if not events or events[-1]["event"] == "end":
            return None
        return next((child for child in self.children if child.pid == events[-1]["pid"]), None)

    def kill(self, child: Child) -> None:
        self.killed[child.pid] = time.monotonic()
        child.signal(signal.SIGKILL)
        child.process.wait()
        self.children[self.children.index(child)] = self._begin()

    def runs(self) -> list[Ran]:
        """All of them, in the order of their beginnings."""
        found: list[Ran] = []
        open_runs: dict[int, Ran] = {}
        for event in self.events():
            if event["event"] == "begin":
                assert event["pid"] not in open_runs, "a process overlaps itself"
                # Of one that never tells its end the process must have been killed.
                ran = Ran(
                    math.floor(event["slot"] / self._period_s), event["at"], -1.0, finished=False
                )
                open_runs[event["pid"]] = ran
                found.append(ran)
            else:
                ran = open_runs.pop(event["pid"])
                ran.ended, ran.finished = event["at"], True
        for pid, ran in open_runs.items():
            ran.ended = self.killed[pid]
        return sorted(found, key=lambda ran: ran.began)


async def run(folder: Path, registry: str, period_s: float, periods: int) -> None:
    """Let the job run for some periods while replicas are killed, and see what it wrote down."""
    shutil.copytree(SOURCE, folder)
    (folder / "mesh.toml").write_text(f"[registry]\n{registry}\n")
    rng = random.Random(4)
    with children(folder, path=folder) as start:
        trio = Trio(start, folder / "ticks", period_s)
        for child in trio.children:
            await child.ready()
        first = time.monotonic()
        last = first + periods * period_s
        in_a_run = 0
        while time.monotonic() < last:
            await sleep(rng.uniform(0.2, 3.2) * period_s)
            ready = trio.ready()
            if len(ready) < 2:
                continue  # one is to be left
            victim = rng.choice(ready)
            if rng.random() < 0.6:
                # Wait for a run to kill; there is one in every period.
                while (runner := trio.runner()) is None or runner not in ready:
                    await sleep(0.005)
                victim = runner
                in_a_run += 1
            trio.kill(victim)
        for child in trio.children:
            trio.killed[child.pid] = time.monotonic()
            child.signal(signal.SIGKILL)
            child.process.wait()
        runs = [ran for ran in trio.runs() if ran.began > first]

    kills = len(trio.killed) - 3
    overlaps = [(a, b) for a, b in pairwise(runs) if b.began < a.ended]
    finished = [ran for ran in runs if ran.finished]
    slots = sorted({ran.slot for ran in finished})
    missed = [after - before - 1 for before, after in pairwise(slots)]
    gaps = [after.began - before.began for before, after in pairwise(finished)]
    print(
        f"\n{slots[-1] - slots[0] + 1} periods of {period_s} s, {kills} kills ({in_a_run} aimed at "
        f"a run), {len(runs)} runs, {len(finished)} finished, {len(finished) - len(slots)} slots "
        f"run again; overlaps {len(overlaps)}, slots missed {sum(missed)}, in a row {max(missed)}, "
        f"longest from begin to begin {max(gaps):.3f} s"
    )
    assert kills > periods / 10
    assert overlaps == []
    assert max(missed) <= 1
    assert slots[-1] - slots[0] + 1 >= periods - 2
    assert len(runs) > len(finished)


async def test_a_job_runs_once_a_period_whoever_is_killed(tmp_path: Path) -> None:
    await run(tmp_path / "ticking", 'url = "file:leases"', period_s=0.25, periods=200)


async def test_the_same_with_locks_that_have_a_time_to_live(tmp_path: Path) -> None:
    # The lock of a dead one stands for up to a second: so the period is longer.
    with RedisServer(tmp_path) as server:
        registry = f'url = "{server.url}"\nttl_s = 1'
        await run(tmp_path / "ticking", registry, period_s=2.0, periods=30)
