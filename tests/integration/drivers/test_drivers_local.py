"""Replicas that are built and removed under a running `txmesh up`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import treq

from balancer import Endpoint
from clients.users import Users
from services.ops.fleet.drivers.interface import Build, Built, DriverError
from tests.driven import Driven
from tests.processes import ROOT, sleep, until
from tests.txmesh import Up

pytestmark = pytest.mark.xdist_group("ops")

USER = "u_22yuwt6yiuetv5zn"


class Room(Driven):
    """A folder in which `txmesh up` runs, with the driver and a caller beside it."""

    async def state(self, replica: str, state: str) -> Built:
        for _ in range(400):
            built = (await self.built())[replica]
            if built.state == state:
                return built
            await sleep(0.05)
        raise AssertionError(f"{replica} did not come to be {state}: {built}")


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    (tmp_path / "mesh.toml").write_text(
        "[services.users]\nreplicas = 1\n[up]\nstop_s = 5.0\n[server]\ndrain_notice_s = 0.2\n"
    )
    room = Room(tmp_path, "local")
    yield room
    room.mesh.close()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def release(folder: Path) -> Path:
    """A copy of the code."""
    for name in ("balancer", "clients", "services"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def up(folder: Path) -> Up:
    return Up(folder, "--config", "mesh.toml", "users")


async def post(endpoint: Endpoint, path: str) -> int:
    answer = await treq.post(f"http://{endpoint.admin}{path}")
    await answer.content()
    code: int = answer.code
    return code


async def test_replicas_are_built_announced_restarted_retired_and_removed(room: Room) -> None:
    with up(room.folder) as running:
        running.status()
        assert [(b.replica, b.state, b.version) for b in (await room.built()).values()] == [
            ("users-1", "running", "1")
        ]
        first = Build(service="users", replica="users-2.k3f-1", version="2")
        second = Build(service="users", replica="users-2.k3f-2", version="2")
        await room.driver.build(first)
        await room.driver.build(second)
        await room.driver.build(second)  # as after an interruption
        standing = [await room.endpoint(b.replica) for b in (first, second)]
        assert [(e.standby, e.version) for e in standing] == [(True, "2")] * 2
        assert len(await room.built()) == 3
        fleet = room.mesh.fleet("users")
        await until(lambda: len(fleet.available) == 1, "only the old one is called")

        for endpoint in standing:
            assert await post(endpoint, "/announce") == 200
        await until(lambda: len(fleet.available) == 3, "the new ones are called")
        calls = 0
        while not all(replica.attempts for replica in fleet.available):
            # New ones take less than their share at first.
            calls += 1
            assert calls < 5000
            await room.mesh.client(Users).fetch(id=USER)

        # One that was announced comes back announced.
        os.kill(standing[0].pid, signal.SIGKILL)
        again = await room.endpoint(first.replica, pid=standing[0].pid)
        assert not again.standby
        running.until("users-2.k3f-1 is ready again")

        # One of the first replicas is told to leave, and is not started again.
        [old] = [e for e in await room.mesh.registry.endpoints() if e.replica == "users-1"]
        await room.driver.retire("users-1")
        assert await post(old, "/drain") == 202
        assert (await room.state("users-1", "ended")).why == ""
        assert gone(old.pid)
        await room.driver.remove("users-1")
        assert sorted(await room.built()) == [first.replica, second.replica]
        assert "has left" in "".join(await room.driver.tail("users-1"))

        await room.driver.remove(second.replica)
        await room.driver.remove(second.replica)  # as after an interruption
        assert list(await room.built()) == [first.replica]
        assert gone(standing[1].pid)
        marks = room.folder / ".mesh" / "run"
        assert [path.name for path in marks.iterdir()] == [f"{first.replica}.announced"]

        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=20) == 0
        told = running.told()
        for words in (
            "building users-2.k3f-1 (version 2) on standby",
            "users-1 is removed",
            "every replica has left in good order",
        ):
            assert words in told
    assert gone(again.pid)
    assert not (room.folder / ".mesh" / "up.sock").exists()
    with pytest.raises(DriverError, match=r"no `txmesh up` answers in .*start it there"):
        await room.driver.built("users")


async def test_what_cannot_work_fails_and_stays_down(room: Room) -> None:
    broken = release(room.folder / "broken") / "services" / "users" / "service.py"
    broken.write_text('raise RuntimeError("a broken release")\n')
    with up(room.folder) as running:
        running.status()
        build = Build(service="users", replica="users-3.k-1", version="3", code="broken")
        await room.driver.build(build)
        failed = await room.state(build.replica, "failed")
        assert failed.why == "ended with status 1 and never became ready"
        assert "a broken release" in "\n".join(await room.driver.tail(build.replica))
        await room.driver.build(build)  # again: it is there, and down
        assert (await room.built())[build.replica] == failed
        running.until("users-3.k-1 ended with status 1 and never became ready; it stays down")
        await room.driver.remove(build.replica)
        assert list(await room.built()) == ["users-1"]


async def test_what_is_no_build_is_refused(room: Room) -> None:
    with up(room.folder) as running:
        running.status()
        good = Build(service="users", replica="users-2", version="2")
        await room.driver.build(good)
        for changed, why in (
            ({"service": "user"}, "knows no service 'user'; did you mean 'users'"),
            ({"replica": "../users-9"}, "is no name for a replica"),
            ({"code": "nowhere"}, f"there is no folder {room.folder / 'nowhere'} to run"),
            ({"version": "3"}, "users-2 is there as another, users version 2;"),
            ({"replica": "users-1"}, "users-1 is there as another, users version 1;"),
        ):
            fields: dict[str, Any] = {"service": "users", "replica": "users-2", "version": "2"}
            with pytest.raises(DriverError, match=why):
                await room.driver.build(Build(**{**fields, **changed}))
        with pytest.raises(DriverError, match="is no name"):
            await room.driver.tail("../../mesh")
        assert sorted(await room.built()) == ["users-1", "users-2"]


async def test_a_release_runs_from_its_folder_and_in_its_own_environment(room: Room) -> None:
    admin = release(room.folder / "release") / "services" / "kit" / "admin.py"
    admin.write_text(admin.read_text().replace('"status": "live"', '"status": "copied"'))
    environment = room.folder / "python"
    venv.create(environment / ".venv", symlinks=True)
    [packages] = environment.glob(".venv/lib/python*/site-packages")
    ours = Path(pytest.__file__).parent.parent
    (packages / "ours.pth").write_text(f"{ROOT}\n{ours}\n")
    twistd = Path(sys.executable).with_name("twistd")
    shutil.copy(twistd, environment / ".venv" / "bin" / "twistd")
    with up(room.folder) as running:
        running.status()
        copied = Build(service="users", replica="users-2.k-1", version="2", code="release")
        other = Build(service="users", replica="users-2.k-2", version="2", code=str(environment))
        await room.driver.build(copied)
        await room.driver.build(other)
        endpoint = await room.endpoint(copied.replica)
        live = await treq.get(f"http://{endpoint.admin}/health/live")
        assert await live.json() == {"status": "copied"}
        endpoint = await room.endpoint(other.replica)
        line = Path(f"/proc/{endpoint.pid}/cmdline").read_bytes().split(b"\0")
        assert line[0] == bytes(environment / ".venv" / "bin" / "python")
        assert (await room.built())[other.replica].state == "running"


async def test_one_that_does_not_leave_is_killed(room: Room) -> None:
    with up(room.folder) as running:
        running.status()
        build = Build(service="users", replica="users-2", version="2")
        await room.driver.build(build)
        endpoint = await room.endpoint(build.replica)
        os.kill(endpoint.pid, signal.SIGSTOP)
        await room.driver.remove(build.replica)
        assert gone(endpoint.pid)
        assert "users-2 has not left after 5 s; it is killed" in running.told()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=20) == 0


async def test_a_socket_that_was_left_behind_is_no_obstacle_and_is_the_owners(room: Room) -> None:
    path = room.folder / ".mesh" / "up.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(DriverError, match="no `txmesh up` answers"):
        await room.driver.built("users")
    (path.parent / "run").mkdir()
    (path.parent / "run" / "users-2.announced").touch()
    with up(room.folder) as running:
        running.status()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        # What another run has announced stands by in this one.
        await room.driver.build(Build(service="users", replica="users-2", version="2"))
        assert (await room.endpoint("users-2")).standby
        running.process.kill()
        running.process.wait()
        with pytest.raises(DriverError, match="no `txmesh up` answers"):
            await room.driver.built("users")


async def test_the_first_replicas_are_what_the_configuration_says(room: Room) -> None:
    deep = room.folder / ("d" * 100) / "mesh"
    deep.mkdir(parents=True)
    (deep / "code" / "users").mkdir(parents=True)
    (deep / "mesh.toml").write_text(
        '[services.users]\nreplicas = 1\nversion = "7"\ncode = "code"\n'
    )
    far = Room(deep, "local")
    try:
        with up(deep) as running:
            [replica] = running.status()["replicas"]
            assert replica["version"] == "7"
            # So deep that its socket's path is longer than an address may be.
            assert len(str(deep / ".mesh" / "up.sock")) > 107
            assert [built.version for built in (await far.built()).values()] == ["7"]
    finally:
        far.mesh.close()
