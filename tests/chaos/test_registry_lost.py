"""The registry killed under load: calls go on, and what started meanwhile is used at its return."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from balancer.policy import Replica
from clients import Mesh
from tests.load import SteadyLoad
from tests.processes import children, sleep, until
from tests.redis_servers import RedisServer, replicated

RATE = 200


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
        load = SteadyLoad(mesh, RATE)
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
        load = SteadyLoad(mesh, RATE)
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
