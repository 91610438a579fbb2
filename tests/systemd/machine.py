"""A machine with systemd as process 1, for tests: see ``boot.sh``. Root's, always cleaned up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import ROOT

TXMESH = "/opt/txmesh/.venv/bin/txmesh"
_BOOT = Path(__file__).with_name("boot.sh")
_BOOTED_S = 20.0
_ANSWER_S = 60.0


class Machine:
    """One that runs.

    Attributes:
        shared: a folder of ours that is ``/srv`` there.
    """

    def __init__(self, shared: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.shared = shared
        self._process = process
        self._log = log
        self._first = 0

    def boot(self) -> None:
        """Wait until systemd takes orders."""
        end = time.monotonic() + _BOOTED_S
        while not self._is_up():
            assert self._process.poll() is None, f"it ended: {self._log.read_text()}"
            assert time.monotonic() < end, f"it does not boot: {self._log.read_text()}"
            time.sleep(0.05)  # between two looks at the condition; no reactor runs here

    def _is_up(self) -> bool:
        listed = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        pids = Path(listed).read_text().split()
        if not pids:
            return False
        self._first = int(pids[0])
        done = self.run("systemctl", "is-active", "tests.target", check=False)
        return done.stdout.strip() == "active"

    def line(self, *line: str) -> list[str]:
        """A command line that runs another in the machine."""
        return ["nsenter", f"--target={self._first}", "-m", "-p", "-u", "-i", "-C", "--", *line]

    def run(self, *line: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end."""
        done = subprocess.run(
            self.line(*line),
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
            check=False,
        )
        assert not check or done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done

    def write(self, path: str, text: str) -> None:
        """Write a file there."""
        (self.shared / "handed").write_text(text)
        self.run("install", "-D", "-m", "644", "/srv/handed", path)

    def shows(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        told = self.run("systemctl", "show", f"--property={','.join(names)}", unit).stdout
        return dict(line.split("=", 1) for line in told.splitlines())

    def pid(self, unit: str) -> int:
        """The process id of a unit's main process, as this machine numbers it; 0 for none."""
        inside = self.shows(unit, "MainPID")["MainPID"]
        return next((pid for pid, numbers in _processes(self._first) if numbers[-1] == inside), 0)

    def journal(self, unit: str) -> str:
        """What a unit has said, and systemd of it."""
        return self.run("journalctl", f"--unit={unit}", "--no-pager", "--output=cat").stdout


def _processes(first: int) -> Iterator[tuple[int, list[str]]]:
    """All of a machine's processes, with their numbers there."""
    own = Path(f"/proc/{first}/ns/pid").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "ns" / "pid").readlink() == own:
                status = (folder / "status").read_text()
                numbers = status.partition("NSpid:")[2].splitlines()[0].split()
                yield int(folder.name), numbers
        except OSError:
            continue


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot one; all of it is gone at the end.

    Args:
        folder: empty; what is needed is made in it.
    """
    cgroup = _make_cgroup() if _may_mount() else None
    if cgroup is None:
        pytest.skip("a machine is booted by root alone, where it may mount: run the tests there")
    try:
        with _running(folder, cgroup) as machine:
            machine.boot()
            yield machine
    finally:
        _remove(cgroup)


@contextmanager
def _running(folder: Path, cgroup: Path) -> Iterator[Machine]:
    work, shared = folder / "work", folder / "shared"
    for made in (work, shared):
        made.mkdir()
    log = folder / "boot.log"
    packages = sysconfig.get_path("purelib")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    places = (cgroup, work, shared, ROOT, packages, sys.base_prefix, version)
    # It goes when we go, however that is.
    line = ["setpriv", "--pdeathsig", "KILL", str(_BOOT), *map(str, places)]
    with log.open("wb") as out:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield Machine(shared, process, log)
    finally:
        process.kill()
        process.wait()


def _may_mount() -> bool:
    line = ["unshare", "--pid", "--fork", "--mount", "--uts", "--ipc", "--cgroup"]
    try_it = "mount -t tmpfs tmpfs /mnt && test -x /lib/systemd/systemd"
    tried = subprocess.run([*line, "sh", "-c", try_it], capture_output=True, check=False)
    return not tried.returncode


def _make_cgroup() -> Path | None:
    """Make a folder in this machine's cgroup2 tree, if it has one that may be written."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            cgroup = Path(before.split()[4]) / f"txmesh-tests-{os.getpid()}"
            try:
                cgroup.mkdir()
            except OSError:
                return None
            return cgroup
    return None


def _remove(cgroup: Path) -> None:
    """Remove a cgroup with all that are in it, once its last process is gone."""
    end = time.monotonic() + 10.0
    while (cgroup / "cgroup.events").read_text().split()[1] != "0":
        assert time.monotonic() < end, f"{cgroup} does not become empty"
        time.sleep(0.02)  # between two looks at the condition
    for inner in sorted(cgroup.rglob("*/"), reverse=True):
        inner.rmdir()
    cgroup.rmdir()


def status_of(machine: Machine) -> dict[str, tuple[str, str]]:
    """Version and state of each replica, as ``txmesh status`` tells it there."""
    done = machine.run(TXMESH, "status", "--json", "--config", "/etc/txmesh/mesh.toml")
    replicas = json.loads(done.stdout)["replicas"]
    return {each["replica"]: (each["version"], each["state"]) for each in replicas}
