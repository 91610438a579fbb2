"""Workers killed and frozen, and their master: callers see nothing, and nobody is left over."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import treq

from tests.processes import until
from tests.workers import Load, Place, alive, counted, place, workers_of

TWO = ("--workers", "2")
ANSWERED = 'mesh_requests_total{route="say.say",status="200"}'


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as made:
        yield made


async def test_killed_workers_under_load_cost_no_call(here: Place) -> None:
    child = here.start("say-1", *TWO)
    _, admin = await child.ready()
    mesh = here.mesh()
    load = Load(mesh, rate=500)
    try:
        await load.more(200)
        for kills in range(1, 4):
            before = workers_of(child)
            await counted(admin, ANSWERED)  # so that what it has counted by now is known
            os.kill(before[0], signal.SIGKILL)
            await until(
                lambda: child.event("was killed by signal 9") and len(workers_of(child)) == 2,
                "another one",
            )
            await load.more(300)
            assert await counted(admin, "mesh_worker_restarts_total") == kills
        await load.stop()
        print(f"{load.calls} calls over 3 killed workers, {len(load.failures)} failed")
        assert load.failures == []
        # What they had counted stays, but for what came between their last word and their end.
        assert await counted(admin, ANSWERED) >= load.calls - 100
        every = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        assert sorted(map(int, every)) == workers_of(child)  # no zombie among them
    finally:
        mesh.close()


async def test_a_frozen_worker_is_replaced(here: Place) -> None:
    here.configure(hang_s=1.0)
    child = here.start("say-1", *TWO)
    await child.ready()
    mesh = here.mesh()
    load = Load(mesh, rate=200)
    frozen = workers_of(child)[0]
    try:
        await load.more(100)
        os.kill(frozen, signal.SIGSTOP)
        told = await until(lambda: child.event("was silent for 1 s"), "the silence")
        assert "and was killed" in told["message"]
        await until(lambda: len(set(workers_of(child)) - {frozen}) == 2, "another one")
        await load.more(100)
        await load.stop()
        print(f"{load.calls} calls over a frozen worker, {len(load.failures)} failed")
        assert load.failures == []
        assert not alive(frozen)
    finally:
        mesh.close()


async def test_workers_leave_when_their_master_is_killed(here: Place) -> None:
    child = here.start("say-1", *TWO)
    await child.ready()
    workers = workers_of(child)
    child.signal(signal.SIGKILL)
    await until(lambda: not any(alive(pid) for pid in workers), "their end", within_s=10.0)
    assert child.event("the master is gone") is not None


async def test_a_master_that_was_stopped_kills_nobody(here: Place) -> None:
    """It knows nothing of the time in which it was not there."""
    here.configure(hang_s=1.0)
    child = here.start("say-1", *TWO)
    _, admin = await child.ready()
    workers = workers_of(child)
    mesh = here.mesh()
    load = Load(mesh, rate=100)
    try:
        child.signal(signal.SIGSTOP)
        await load.more(250)  # that is 2.5 s of them
        child.signal(signal.SIGCONT)
        await load.more(150)
        await load.stop()
        assert load.failures == []
        assert workers_of(child) == workers
        assert await counted(admin, "mesh_worker_restarts_total") == 0
    finally:
        mesh.close()


async def test_without_a_worker_the_replica_takes_no_calls_and_comes_back(here: Place) -> None:
    child = here.start("say-1", *TWO)
    _, admin = await child.ready()
    mesh = here.mesh()
    fleet = mesh.fleet("say")
    try:
        await until(lambda: fleet.available, "known")
        for pid in workers_of(child):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: child.event("no worker serves"), "that nobody is left")
        await until(lambda: child.log.read_text().count(" takes calls") == 4, "others")
        await until(lambda: fleet.available, "back")
        ready = await treq.get(f"http://{admin}/health/ready")
        assert await ready.json() == {"status": "ready"}
    finally:
        mesh.close()
