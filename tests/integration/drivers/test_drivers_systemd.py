"""Replicas as transient units: real replicas under programs that stand in for systemd's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
import treq
from twisted.internet.defer import DeferredList

from balancer import Endpoint
from services.ops.fleet.drivers.interface import Build, Built, DriverError
from tests.driven import Driven
from tests.processes import ROOT, sleep
from tests.txmesh import start_txmesh, txmesh

pytestmark = pytest.mark.xdist_group("ops")

FAKE = Path(__file__).with_name("fakesystemd.py")
FIRST = Build(service="users", replica="users-2.k3f-1", version="2")
SECOND = Build(service="users", replica="users-2.k3f-2", version="2")


class Host(Driven):
    """A machine with systemd, as far as the driver sees one."""

    async def until_gone(self, replica: str) -> None:
        for _ in range(400):
            if replica not in await self.built():
                return
            await sleep(0.05)
        raise AssertionError(f"{replica} is still there: {await self.built()}")


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    programs = tmp_path / "bin"
    fake = tmp_path / "systemd"
    for path in (programs, fake, fake / "units", fake / "run", fake / "logs"):
        path.mkdir()
    for name in ("systemd-run", "systemctl", "journalctl"):
        (programs / name).write_text(f"#!{sys.executable}\n{FAKE.read_text()}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SYSTEMD", str(fake))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(fake / "run"))
    (tmp_path / "mesh.toml").write_text(
        '[fleet.systemd]\nmanager = "user"\n[server]\ndrain_notice_s = 0.2\n'
    )
    host = Host(tmp_path, "systemd")
    yield host
    host.mesh.close()
    for unit in (fake / "units").glob("txmesh*"):
        subprocess.run(["systemctl", "stop", unit.name], timeout=20, check=True)


async def post(endpoint: Endpoint, path: str) -> None:
    await (await treq.post(f"http://{endpoint.admin}{path}")).content()


async def test_replicas_are_built_announced_restarted_drained_and_removed(host: Host) -> None:
    assert await host.built() == {}
    await host.driver.build(FIRST)
    await host.driver.build(SECOND)
    await host.driver.build(SECOND)
    standing = [await host.endpoint(build.replica) for build in (FIRST, SECOND)]
    assert [(e.standby, e.version) for e in standing] == [(True, "2")] * 2
    assert await host.built() == {
        b.replica: Built(replica=b.replica, service="users", version="2") for b in (FIRST, SECOND)
    }
    assert await host.driver.built("products") == []
    for endpoint in standing:
        await post(endpoint, "/announce")

    os.kill(standing[0].pid, signal.SIGKILL)
    again = await host.endpoint(FIRST.replica, pid=standing[0].pid)
    assert not again.standby

    await host.driver.retire(FIRST.replica)
    await host.driver.retire(FIRST.replica)
    await post(again, "/drain")
    await host.until_gone(FIRST.replica)
    assert "has left" in "".join(await host.driver.tail(FIRST.replica))
    await host.driver.remove(FIRST.replica)

    await host.driver.remove(SECOND.replica)
    await host.driver.remove(SECOND.replica)
    assert await host.built() == {}
    with pytest.raises(ProcessLookupError):
        os.kill(standing[1].pid, 0)
    assert list((host.folder / "systemd" / "run" / "txmesh").iterdir()) == []


async def test_two_builders_of_one_replica_do_no_harm(host: Host) -> None:
    both = [host.driver.build(FIRST) for _ in range(2)]
    assert [succeeded for succeeded, _ in await DeferredList(both, consumeErrors=True)] == [
        True
    ] * 2
    assert (await host.endpoint(FIRST.replica)).standby
    assert list(await host.built()) == [FIRST.replica]


async def test_a_broken_release_has_failed_and_says_why(host: Host) -> None:
    for name in ("balancer", "clients", "services"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, host.folder / "broken" / name, ignore=ignored)
    service = host.folder / "broken" / "services" / "users" / "service.py"
    service.write_text('raise RuntimeError("a broken release")\n')
    await host.driver.build(
        Build(service="users", replica="users-3.k-1", version="3", code="broken")
    )
    for _ in range(600):
        built = (await host.built())["users-3.k-1"]
        if built.state != "running":
            break
        await sleep(0.05)
    assert built.state == "failed"
    assert built.why == "ended with status 1 (exit-code, says systemd)"
    assert "a broken release" in "\n".join(await host.driver.tail("users-3.k-1"))
    await host.driver.remove("users-3.k-1")
    assert await host.built() == {}


async def test_what_is_no_build_is_refused(host: Host) -> None:
    for changed, why in (
        ({"service": "--user"}, "is no service's name"),
        ({"replica": "users 2"}, "is no name for a replica"),
        ({"version": "2 3"}, "is no version"),
        ({"code": "nowhere"}, f"there is no folder {host.folder / 'nowhere'}"),
    ):
        fields = {"service": "users", "replica": "users-2", "version": "2", **changed}
        with pytest.raises(DriverError, match=why):
            await host.driver.build(Build(**fields))
    assert await host.built() == {}


async def test_a_systemd_that_does_not_answer_is_told_and_not_waited_for(host: Host) -> None:
    systemctl = host.folder / "bin" / "systemctl"
    kept = systemctl.read_text()
    systemctl.write_text(f"#!/bin/sh\necho $$ > {host.folder}/pid\nexec sleep 600\n")
    (host.folder / "mesh.toml").write_text(
        '[fleet.systemd]\nmanager = "user"\nanswer_s = 0.5\nstop_s = 0.5\n'
    )
    slow = Host(host.folder, "systemd")
    with pytest.raises(DriverError, match=r"systemctl has not answered within 0.5 s"):
        await slow.built()
    slow.mesh.close()
    pid = int((host.folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

    systemctl.write_text('#!/bin/sh\necho "Failed to connect to bus: No such file" >&2\nexit 1\n')
    with pytest.raises(DriverError, match="does not tell its units: Failed to connect to bus"):
        await host.built()
    systemctl.write_text(kept)


def test_a_replacement_goes_on_when_its_reader_has_enough(host: Host) -> None:
    line = ("users", "--version", "2", "--replicas", "1", "--bake", "0", "--driver", "systemd")
    with start_txmesh(host.folder, "replace", *line, "--config", "mesh.toml", "--json") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        first = json.loads(running.stdout.readline())
        running.stdout.close()  # as by `| head -1`
        told = running.stderr.read()
        assert running.wait(timeout=20) == 0
    # Standard error has a reader still, who is told of the end, and of nothing else.
    assert told.splitlines() == [
        "txmesh: no call came while the new version was watched: nothing is known of how it does",
        told.splitlines()[-1],
    ]
    assert "users is replaced: 1 replica of version 2" in told
    assert first["event"] != "ended"
    status = json.loads(txmesh(host.folder, "status", "--config", "mesh.toml", "--json").stdout)
    assert [(each["version"], each["state"]) for each in status["replicas"]] == [("2", "ready")]
    assert not list((host.folder / ".mesh" / "replace").glob("*.json"))
