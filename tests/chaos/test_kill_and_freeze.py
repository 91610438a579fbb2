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

import pytest

from balancer.policy import Replica
from clients import Mesh
from tests.load import SteadyLoad
from tests.processes import sleep, until
from tests.txmesh import Up

RATE = 500


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

        load = SteadyLoad(mesh, RATE)
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
