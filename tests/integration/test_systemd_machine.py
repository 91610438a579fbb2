"""The units on a machine with systemd: started, reloaded, killed, replaced, under calls."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from clients import Mesh
from tests.load import USER, SteadyLoad
from tests.processes import sleep, until
from tests.redis_servers import RedisServer, free_port
from tests.systemd.machine import TXMESH, Machine, booted, status_of
from tests.workers import children_of

pytestmark = pytest.mark.xdist_group("ops")

UNIT = "txmesh@users.service"
CONFIG = """
[registry]
url = "{url}"
ttl_s = 2
known = "/var/lib/txmesh/known"
[storage]
url = "sqlite:/var/lib/txmesh/data"
[server]
drain_notice_s = 0.5
[fleet]
driver = "systemd"
"""
ENVIRONMENT = "WORKERS=1\nADVERTISE=127.0.0.1\nLISTEN={listen}\n"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, redis: RedisServer) -> Iterator[Machine]:
    """One with the units as docs/how-to/deploy.md installs them."""
    folder = tmp_path / "machine"
    folder.mkdir()
    with booted(folder) as machine:
        units = Path("/opt/code/deploy/systemd")
        machine.run("cp", str(units / "txmesh.sysusers"), "/usr/lib/sysusers.d/txmesh.conf")
        machine.run("systemd-sysusers")
        for name in ("txmesh@.service", "txmesh@users.socket"):
            machine.run("cp", str(units / name), "/etc/systemd/system/")
        machine.write("/etc/txmesh/mesh.toml", CONFIG.format(url=redis.url))
        listen = "tcp:0:interface=127.0.0.1"
        machine.write("/etc/txmesh/users.env", ENVIRONMENT.format(listen=listen))
        machine.run("systemctl", "daemon-reload")
        yield machine


@asynccontextmanager
async def called(folder: Path, redis: RedisServer) -> AsyncIterator[SteadyLoad]:
    """Calls from outside of the machine; at the end not one has failed."""
    (folder / "mesh.toml").write_text(f'[registry]\nurl = "{redis.url}"\n')
    mesh = Mesh(folder / "mesh.toml")
    load = SteadyLoad(mesh, rate=100)
    try:
        await sleep(0.5)
        yield load
        await sleep(0.5)
    finally:
        await load.stop()
        mesh.close()
    assert not load.failures, load.failures[:5]


def stated(machine: Machine, unit: str, state: str) -> bool:
    return machine.shows(unit, "ActiveState")["ActiveState"] == state


def powers(pid: int) -> dict[str, str]:
    """What a process may do, by the kernel's word."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = dict(line.split(":\t", 1) for line in lines)
    return {name: told[name] for name in ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd")}


NONE = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapBnd": "0" * 16}


async def test_a_unit_is_confined_reloaded_watched_and_stopped(
    machine: Machine, tmp_path: Path, redis: RedisServer
) -> None:
    machine.write("/etc/systemd/system/txmesh@.service.d/quick.conf", "[Service]\nWatchdogSec=2\n")
    machine.run("systemctl", "daemon-reload")
    await deferToThread(machine.run, "systemctl", "start", UNIT)
    assert machine.shows(UNIT, "StatusText")["StatusText"].startswith("ready: users-")
    first = machine.pid(UNIT)
    assert powers(first) == NONE
    assert Path(f"/proc/{first}").stat().st_uid != 0

    async with called(tmp_path, redis):
        [old] = children_of(first)
        machine.run("systemctl", "reload", UNIT)
        await until(lambda: children_of(first) not in ([], [old]), "new workers")
        await until(lambda: len(children_of(first)) == 1, "the old ones gone")
        assert machine.pid(UNIT) == first

    os.kill(first, signal.SIGSTOP)
    await until(lambda: machine.pid(UNIT) not in (0, first), "the watchdog has another started")
    second = machine.pid(UNIT)
    await until(lambda: stated(machine, UNIT, "active"), "ready again")
    assert "Watchdog timeout" in machine.journal(UNIT)
    os.kill(second, signal.SIGKILL)
    await until(lambda: machine.pid(UNIT) not in (0, second), "the kill is mended")
    await until(lambda: stated(machine, UNIT, "active"), "ready again")

    await deferToThread(machine.run, "systemctl", "stop", UNIT)
    ended = machine.shows(UNIT, "ActiveState", "Result", "ExecMainStatus")
    assert ended == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
    assert " has left after " in machine.journal(UNIT)


async def replaced(machine: Machine, *line: str) -> dict[str, Any]:
    """Run ``txmesh replace users`` there; its last event."""
    whole = (TXMESH, "replace", "users", *line, "--json", "--config", "/etc/txmesh/mesh.toml")
    done = await deferToThread(machine.run, *whole, check=False)
    assert done.stdout, done.stderr
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "ended", done.stdout
    return last


async def all_become(machine: Machine, wanted: tuple[str, str]) -> None:
    """Wait until all replicas have a version and a state; calls go on meanwhile."""
    for _ in range(60):
        told = await deferToThread(status_of, machine)
        if set(told.values()) == {wanted}:
            return
    raise AssertionError(f"not all are {wanted}: {told}")


async def test_a_unit_is_replaced_by_transient_ones_under_calls(
    machine: Machine, tmp_path: Path, redis: RedisServer
) -> None:
    await deferToThread(machine.run, "systemctl", "start", UNIT)
    async with called(tmp_path, redis) as load:
        last = await replaced(machine, "--version", "2", "--replicas", "2", "--bake", "2")
        assert (last["outcome"], len(last["members"])) == ("replaced", 2), last
        told = await deferToThread(status_of, machine)
        assert told == dict.fromkeys(last["members"], ("2", "ready"))
        assert machine.shows(UNIT, "ActiveState", "Result", "NRestarts") == {
            "ActiveState": "inactive",
            "Result": "success",
            "NRestarts": "0",
        }
        units = [f"txmesh-{name}.service" for name in last["members"]]
        for unit in units:
            assert powers(machine.pid(unit)) == NONE
            assert Path(f"/proc/{machine.pid(unit)}").stat().st_uid != 0

        # What systemd starts again takes calls again: it was announced.
        killed = machine.pid(units[0])
        os.kill(killed, signal.SIGKILL)
        await until(lambda: machine.pid(units[0]) not in (0, killed), "the kill is mended")
        await all_become(machine, ("2", "ready"))

        machine.run("mkdir", "-p", "/opt/broken/services/users")
        machine.write("/opt/broken/services/__init__.py", 'raise RuntimeError("broken")\n')
        last = await replaced(machine, "--version", "3", "--code", "/opt/broken")
        assert (last["outcome"], last["status"]) == ("rolled-back", 1), last
        assert set((await deferToThread(status_of, machine)).values()) == {("2", "ready")}
        listed = machine.run(
            "systemctl", "list-units", "--all", "--plain", "--no-legend", "txmesh-*"
        )
        assert sorted(line.split()[0] for line in listed.stdout.splitlines()) == sorted(units)
    print(f"{load.calls} calls, {len(load.failures)} failed")


async def test_a_restart_behind_a_socket_of_systemd_refuses_no_connection(
    machine: Machine,
) -> None:
    port = free_port()
    machine.write("/etc/txmesh/users.env", ENVIRONMENT.format(listen="systemd:0"))
    machine.write(
        "/etc/systemd/system/txmesh@users.socket.d/port.conf",
        f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n",
    )
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "txmesh@users.socket")
    assert stated(machine, UNIT, "inactive")
    statuses: Counter[int] = Counter()
    restarted = False

    async def ask() -> None:
        while not restarted:
            # A connection of its own, as of somebody who has just heard of the port.
            answer = await treq.get(f"http://127.0.0.1:{port}/v1/users/{USER}", persistent=False)
            await answer.content()
            statuses[answer.code] += 1

    asking = [Deferred.fromCoroutine(ask()) for _ in range(3)]
    # The first connection has it started.
    await until(lambda: stated(machine, UNIT, "active"), "started", within_s=30.0)
    first = machine.pid(UNIT)
    await until(lambda: statuses[200] > 10, "answers")
    await deferToThread(machine.run, "systemctl", "restart", UNIT)
    answered = statuses[200]
    await until(lambda: statuses[200] > answered + 10, "answers of the new one")
    restarted = True
    await gatherResults(asking)
    assert machine.pid(UNIT) not in (0, first)
    assert set(statuses) == {200}, statuses
