"""The registry killed under load: calls go on, and what started meanwhile is used at its return."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from balancer.policy import Replica
from clients import Mesh
from clients.users import Users
from tests.processes import children, sleep, until
from tests.redis_servers import RedisServer, replicated

USER = "u_22yuwt6yiuetv5zn"
RATE = 200


class Load:
    """Calls that start on time whatever the answers do."""

    def __init__(self, mesh: Mesh) -> None:
        self.calls = 0
        self.failures: list[str] = []
        self._users = mesh.client(Users)
        self._open: set[Deferred[Any]] = set()
        self._loop = LoopingCall.withCount(self._tick)
        self._loop.start(1 / RATE)

    def _tick(self, due: int) -> None:
        for _ in range(due):
            self.calls += 1
            call = self._users.fetch(id=USER)
            self._open.add(call)
            call.addBoth(self._ended, call)

    def _ended(self, result: Any, call: Deferred[Any]) -> None:
        self._open.discard(call)
        if isinstance(result, Failure):
            self.failures.append(result.getErrorMessage())

    async def stop(self) -> None:
        self._loop.stop()
        await gatherResults(list(self._open))


def named(mesh: Mesh, name: str) -> Replica | None:
    replicas = mesh.fleet("users").replicas.values()
    return next((each for each in replicas if each.endpoint.replica == name), None)


async def all_used(mesh: Mesh, within_s: float, *names: str) -> None:
    """Wait until each of these replicas has answered calls."""

    def used() -> bool:
        found = [named(mesh, name) for name in names]
        return all(each is not None and each.attempts > 0 for each in found)

    await until(used, f"{', '.join(names)} used", within_s)


@pytest.mark.xdist_group("ops")
async def test_thirty_seconds_without_redis_fail_no_call(tmp_path: Path) -> None:
    config = tmp_path / "mesh.toml"
    with RedisServer(tmp_path) as server, children(tmp_path) as start:
        config.write_text(f'[registry]\nurl = "{server.url}"\n')
        for name in ("users-1", "users-2"):
            await start("users", name, "--config", str(config)).ready()
        mesh = Mesh(str(config))
        load = Load(mesh)
        try:
            await all_used(mesh, 10.0, "users-1", "users-2")
            server.kill()
            lost_at = time.monotonic()
            await sleep(15.0)
            late = start("users", "users-3", "--config", str(config))
            await late.ready()
            await sleep(30.0 - (time.monotonic() - lost_at))
            assert named(mesh, "users-3") is None
            age_s = mesh.registry.age_s()
            assert age_s is not None
            assert age_s > 28.0
            server.start()
            await all_used(mesh, 2.0, "users-3")
            await sleep(3.0)
            for name in ("users-1", "users-2", "users-3"):
                assert named(mesh, name) is not None
            told = [event for event in late.events() if "registry" in event["message"]]
            assert len(told) == 2, "once that it is lost, once that it is back"
        finally:
            await load.stop()
            mesh.close()
        assert load.failures == []
        assert load.calls > 30 * RATE


@pytest.mark.xdist_group("ops")
async def test_a_sentinel_failover_fails_no_call(tmp_path: Path) -> None:
    config = tmp_path / "mesh.toml"
    with replicated(tmp_path) as redis, children(tmp_path) as start:
        config.write_text(f'[registry]\nurl = "{redis.url}"\n')
        for name in ("users-1", "users-2"):
            await start("users", name, "--config", str(config)).ready()
        mesh = Mesh(str(config))
        load = Load(mesh)
        try:
            await all_used(mesh, 10.0, "users-1", "users-2")
            redis.master.kill()
            late = start("users", "users-3", "--config", str(config))
            # The six seconds include that it starts.
            await all_used(mesh, 6.0, "users-3")
            await late.ready()
            await sleep(2.0)
        finally:
            await load.stop()
            mesh.close()
        assert load.failures == []
