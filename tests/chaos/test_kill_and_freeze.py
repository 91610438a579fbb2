"""Replicas killed and frozen under load: no caller sees it.

Supervised replicas as an operator has them (`txmesh up`), and a caller that makes 500 calls a second
whatever happens: one replica is killed outright, and when it is back in the rotation the other one
is stopped like a machine that hangs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from balancer.policy import Replica
from clients import Mesh
from clients.users import Users
from tests.processes import sleep, until
from tests.txmesh import Up

USER = "u_22yuwt6yiuetv5zn"
RATE = 500


class SteadyLoad:
    """Calls that start on time whatever the answers do."""

    def __init__(self, mesh: Mesh) -> None:
        self.users = mesh.client(Users)
        self.calls = 0
        self.failures: list[BaseException] = []
        self._open: set[Deferred[Any]] = set()
        self._loop = LoopingCall.withCount(self._tick)
        self._loop.start(1 / RATE)

    def _tick(self, due: int) -> None:
        # When the machine was busy the calls that are due are made up for: the rate stays.
        for _ in range(due):
            self.calls += 1
            call = self.users.fetch(id=USER)
            self._open.add(call)
            call.addBoth(self._ended, call)

    def _ended(self, result: Any, call: Deferred[Any]) -> None:
        self._open.discard(call)
        if isinstance(result, Failure):
            self.failures.append(RuntimeError(result.getErrorMessage()))

    async def stop(self) -> None:
        self._loop.stop()
        await gatherResults(list(self._open))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    # The caller has the same embedded defaults as the command: relative to where it is started.
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.mark.xdist_group("ops")
async def test_a_killed_and_a_frozen_replica_fail_no_call(folder: Path) -> None:
    with Up(folder, "users") as up:
        pids = {replica["replica"]: replica["pid"] for replica in up.status()["replicas"]}
        mesh = Mesh()
        fleet = mesh.fleet("users")

        def named(name: str) -> Replica:
            return next(r for r in fleet.replicas.values() if r.endpoint.replica == name)

        def returned() -> bool:
            known = {r.endpoint.replica: r for r in fleet.replicas.values()}
            new = known.get("users-1")
            return new is not None and new.endpoint.pid != pids["users-1"] and new.attempts > 50

        load = SteadyLoad(mesh)
        try:
            await sleep(1.0)
            os.kill(pids["users-1"], signal.SIGKILL)
            await until(returned, "the killed replica back in the rotation")
            frozen = named("users-2")
            os.kill(pids["users-2"], signal.SIGSTOP)
            try:
                await until(lambda: frozen not in fleet.available, "left out", within_s=2.0)
                before = frozen.attempts
                await sleep(2.0)
                # Only probes go there, one at a time.
                assert frozen.attempts - before <= 5
            finally:
                os.kill(pids["users-2"], signal.SIGCONT)
            await until(lambda: frozen in fleet.available, "taken back")
        finally:
            await load.stop()
            mesh.close()
        assert load.failures == []
        assert load.calls > 4 * RATE
        (stats,) = mesh.stats()
        assert stats.attempts <= 1.2 * stats.calls + 50
