"""How `txmesh up` begins and ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.txmesh import Up, start_txmesh, txmesh

pytestmark = pytest.mark.xdist_group("ops")

# A service whose state is never open.
SLOW = """
from contextlib import asynccontextmanager
from twisted.internet.defer import Deferred
from clients.contract import Contract
from services.kit import Service

class Slow(Contract, name="slow"):
    pass

@asynccontextmanager
async def opens(kit):
    await Deferred()
    yield None

service = Service(Slow, opens=opens)
"""
STUB = 'from services.plugin import service_plugin\nslow = service_plugin("slow")\n'


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A child whose parent was killed may be left as a zombie where nobody reaps.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def until(condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(0.02)  # between two looks at the condition; no reactor runs here


def test_it_shows_what_runs_and_lines_that_work_and_leaves_in_good_order(tmp_path: Path) -> None:
    with start_txmesh(tmp_path, "up", "users", "--replicas", "1") as running:
        assert running.stdout is not None
        shown = ""
        while "Stop with ^C" not in shown:
            line = running.stdout.readline()
            assert line, running.communicate()
            shown += line
        heading, row = shown.splitlines()[:2]
        assert heading.split() == ["service", "replica", "address", "admin", "pid"]
        assert row.split()[:2] == ["users", "users-1"]
        curl, call, *_ = re.findall(r"^  (\S.*)$", shown, re.MULTILINE)
        fetched = subprocess.run(
            shlex.split(curl), capture_output=True, text=True, timeout=20, check=True
        )
        called = txmesh(tmp_path, *shlex.split(call)[1:], "--json")
        assert fetched.stdout.strip() == called.stdout.strip() != ""
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert running.returncode == 0
    assert out == ""
    assert err.splitlines()[-1] == "txmesh: stopped; every replica has left in good order"
    assert gone(int(row.split()[-1]))
    assert "users-1 has left" in (tmp_path / ".mesh" / "logs" / "users-1.log").read_text()


def test_replicas_leave_when_it_is_killed(tmp_path: Path) -> None:
    with Up(tmp_path, "users") as up:
        pids = [replica["pid"] for replica in up.status()["replicas"]]
        up.process.kill()
        up.process.wait()
        until(lambda: all(map(gone, pids)), "the replicas have left")
        for name in ("users-1", "users-2"):
            assert "has left" in (tmp_path / ".mesh" / "logs" / f"{name}.log").read_text()
    # Its lock went with it.
    with Up(tmp_path, "users", "--replicas", "1") as up:
        assert len(up.status()["replicas"]) == 1


def test_a_second_interrupt_ends_all_at_once(tmp_path: Path) -> None:
    with Up(tmp_path, "users") as up:
        pids = [replica["pid"] for replica in up.status()["replicas"]]
        os.kill(pids[0], signal.SIGSTOP)  # it will never leave by itself
        up.process.send_signal(signal.SIGTERM)
        up.until("once more to end them at once")
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(timeout=10) == 1
        assert all(map(gone, pids))
        assert "had to be killed" in up.told()


def test_one_that_takes_too_long_to_leave_is_killed(tmp_path: Path) -> None:
    (tmp_path / "mesh.toml").write_text("[up]\nstop_s = 2.0\n")
    with Up(tmp_path, "users", "--config", "mesh.toml") as up:
        pids = [replica["pid"] for replica in up.status()["replicas"]]
        os.kill(pids[0], signal.SIGSTOP)
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=20) == 1
        assert all(map(gone, pids))


GHOST = """
from clients.contract import Contract


class Ghost(Contract, name="ghost"):
    pass
"""


def test_a_contract_that_cannot_be_imported_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "mesh.toml").write_text('[services.ghost]\ncontract = "ghost:Ghost"\n')
    done = txmesh(tmp_path, "up", "--config", "mesh.toml", "ghost")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "contract 'ghost:Ghost' cannot be imported" in done.stderr
    assert not (tmp_path / ".mesh" / "logs").exists()


def test_a_replica_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "ghost.py").write_text(GHOST)
    (tmp_path / "mesh.toml").write_text('[services.ghost]\ncontract = "ghost:Ghost"\n')
    done = txmesh(tmp_path, "up", "--config", "mesh.toml", "ghost")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "ended with status 1, 4 times, and never became ready; the end of " in done.stderr
    assert done.stderr.splitlines()[-1].endswith("Unknown command: mesh-ghost")
    assert len(done.stderr.splitlines()) < 30


def test_a_replica_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "mesh_slow.py").write_text(STUB)
    (tmp_path / "mesh.toml").write_text(
        '[services.slow]\ncontract = "slow:Slow"\nreplicas = 1\n[up]\nready_s = 2.0\n'
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = txmesh(elsewhere, "up", "--config", "../mesh.toml", "slow", "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "slow-1 is not ready after 2 s; the end of " in done.stderr


def test_a_full_disk_does_not_end_it_and_old_logs_make_room(tmp_path: Path) -> None:
    (tmp_path / "mesh.toml").write_text("[up]\nlog_bytes = 1000\n")
    logs = tmp_path / ".mesh" / "logs"
    logs.mkdir(parents=True)
    (logs / "users-1.log").write_text("x" * 5000 + "\n")
    (logs / "users-1.log.1").symlink_to("/dev/full")
    for day in range(25):
        old = logs / f"users-{day}.k-1.log"
        old.write_text("x")
        os.utime(old, (day * 86_400, day * 86_400))
    with Up(tmp_path, "users", "--replicas", "1", "--config", "mesh.toml") as up:
        up.status()
        full = f"txmesh: {logs}/users-1.log cannot be kept from growing: No space left on device\n"
        assert full in up.told()
        assert len(list(logs.glob("users-*.k-1.log"))) == 20
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=20) == 0


def test_a_misspelt_key_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mesh.toml").write_text("[up]\nredy_s = 2.0\n")
    for command in (["up"], ["status"], ["config"], ["call", "users", "fetch", "id=x"]):
        done = txmesh(tmp_path, *command, "--config", "mesh.toml")
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == (
            "txmesh: mesh.toml, line 2: unknown key 'redy_s' in [up]; did you mean 'ready_s'?\n"
        )
