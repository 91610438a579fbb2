"""A replica under a manager that speaks systemd's protocol: readiness, reloads, watchdog, sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import treq

from tests.processes import Child, until
from tests.workers import Place, place, workers_of

# Passes sockets as systemd does: from 3 on, to the process that it becomes.
PASS = """
import os, sys
given = [os.dup(int(each)) for each in sys.argv[1].split(",")]
high = [os.dup2(each, 50 + n) for n, each in enumerate(given)]
for n, each in enumerate(high):
    os.dup2(each, 3 + n)
os.environ["LISTEN_FDS"] = str(len(given))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as made:
        yield made


class Manager:
    """Hears what a service tells.

    Attributes:
        heard: all lines so far.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[str] = []
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind("\0" + name[1:] if name.startswith("@") else name)
        self._channel.setblocking(False)

    def hears(self, line: str, times: int = 1) -> bool:
        while True:
            try:
                self.heard += self._channel.recv(4096).decode().split("\n")
            except BlockingIOError:
                return sum(each.startswith(line) for each in self.heard) >= times

    def close(self) -> None:
        self._channel.close()


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: Any, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "n") if request.param == "a path" else f"@txmesh-test-{os.getpid()}"
    made = Manager(name)
    yield made
    made.close()


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
async def test_a_life_as_systemd_hears_of_it(
    here: Place, manager: Manager, workers: tuple[str, ...]
) -> None:
    environ = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "400000"}
    child = here.start("say-1", *workers, environ=environ)
    await until(lambda: manager.hears("READY=1"), "readiness")
    address, _ = await child.ready()
    [status] = [line for line in manager.heard if line.startswith("STATUS=")]
    assert status.startswith(f"STATUS=ready: say-1 serves say on {address}")
    await until(lambda: manager.hears("WATCHDOG=1", 3), "three signs of life")
    if workers:
        # None of them speaks for the replica.
        told = Path(f"/proc/{workers_of(child)[0]}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in told
        assert b"WATCHDOG_USEC" not in told
    child.signal(signal.SIGHUP)
    await until(lambda: manager.hears("RELOADING=1"), "the reload")
    assert manager.hears("MONOTONIC_USEC=")
    await until(lambda: manager.hears("READY=1", 2), "its end")
    child.signal(signal.SIGTERM)
    await until(lambda: manager.hears("STOPPING=1"), "the end")
    assert await child.ended() == 0


async def test_a_frozen_replica_gives_no_sign_of_life(here: Place, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "n"))
    try:
        environ = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000"}
        child = here.start("say-1", "--workers", "1", environ=environ)
        await until(lambda: manager.hears("WATCHDOG=1", 2), "signs of life")
        # Without a worker the master lives, and does not say that all is well.
        here.write("this is no Python")
        os.kill(workers_of(child)[0], signal.SIGKILL)
        await until(lambda: child.event("no worker serves"), "that nobody is left")
        manager.hears("WATCHDOG=1")
        before = manager.heard.count("WATCHDOG=1")
        restarts = child.log.read_text().count("another is started")
        more = lambda: child.log.read_text().count("another is started") > restarts  # noqa: E731
        await until(more, "one more try")  # that takes longer than the watchdog's time
        manager.hears("WATCHDOG=1")
        assert manager.heard.count("WATCHDOG=1") <= before + 1
    finally:
        manager.close()


def start_passed(here: Place, name: str, sockets: list[socket.socket], *options: str) -> Child:
    """Start a replica that is passed sockets."""
    log = here.folder / f"{name}.log"
    twistd = str(Path(sys.executable).with_name("twistd"))
    line = [sys.executable, twistd, "-n", "--pidfile=", "--reactor=mesh", "mesh-say"]
    own = [*line, "--config", "mesh.toml", "--name", name, *options]

    given = [each.fileno() for each in sockets]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", PASS, ",".join(map(str, given)), *own],
            cwd=here.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": here.path},
            pass_fds=given,
        )
    return here.adopt(Child(process, log))


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
async def test_a_passed_socket_keeps_callers_across_a_restart(
    here: Place, workers: tuple[str, ...]
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as service,
        socket.create_server(("127.0.0.1", 0)) as admin,
    ):
        options = ("--listen", "systemd:0", "--admin", "systemd:1", *workers)
        url = f"http://127.0.0.1:{service.getsockname()[1]}/v1/say"
        first = start_passed(here, "say-1", [service, admin], *options)
        address, admin_address = await first.ready()
        assert address == f"127.0.0.1:{service.getsockname()[1]}"
        assert admin_address == f"127.0.0.1:{admin.getsockname()[1]}"
        assert (await treq.get(url, persistent=False)).code == 200
        first.signal(signal.SIGTERM)
        assert await first.ended() == 0
        # Nobody is there: the kernel holds the connection.
        waiting = treq.get(url, persistent=False)
        second = start_passed(here, "say-2", [service, admin], *options)
        await second.ready()
        assert (await waiting).code == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "systemd:0"), "systemd:0: systemd passed 0 sockets to this process"),
        (("--listen", "systemd:0", "--admin", "systemd:0"), "need a socket each"),
    ],
)
async def test_a_socket_that_was_not_passed(
    here: Place, options: tuple[str, ...], words: str
) -> None:
    child = here.start("say-1", *options)
    assert await child.ended() != 0
    assert words in child.log.read_text()


async def test_a_passed_socket_on_every_interface_needs_a_host_to_announce(here: Place) -> None:
    with socket.create_server(("0.0.0.0", 0)) as service:
        child = start_passed(here, "say-1", [service], "--listen", "systemd:0")
        assert await child.ended() != 0
        assert "--listen on every interface needs --advertise" in child.log.read_text()
        again = start_passed(
            here, "say-2", [service], "--listen", "systemd:0", "--advertise", "localhost"
        )
        address, _ = await again.ready()
        assert address == f"localhost:{service.getsockname()[1]}"


async def test_a_socket_of_another_kind_is_refused(here: Place) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        child = start_passed(here, "say-1", [other], "--listen", "systemd:0")
        assert await child.ended() != 0
        assert "systemd:0 is no listening TCP socket" in child.log.read_text()
