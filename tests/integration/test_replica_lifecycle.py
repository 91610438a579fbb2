"""Replicas run by hand: they take their share at once, and leave without losing a call."""

from __future__ import annotations

import fcntl
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectError

from clients import Mesh
from clients.contract import Call, Contract
from clients.users import UpdateUser, User, Users
from tests.processes import ROOT, children, sleep, until
from tests.workers import workers_of

CONFIG = """
[registry]
url = "file:leases"
[storage]
url = "sqlite:data"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh.toml").write_text(CONFIG)
    return tmp_path


def fetching(mesh: Mesh, user: str, failures: list[object]) -> Deferred[None]:
    """One call; what failed is kept."""
    return (
        mesh.client(Users)
        .fetch(id=user)
        .addCallbacks(lambda _: None, lambda failure: failures.append(failure.value))
    )


USER = "u_22yuwt6yiuetv5zn"


class OnceOnly(Contract, name="users"):
    """A call of the users service that the client believes to be unsafe to repeat."""

    update = Call(UpdateUser, User, put="/v1/users/{id}", idempotent=False, deadline_s=2.0)


async def test_a_replica_started_by_hand_takes_its_share_within_a_second(folder: Path) -> None:
    with children(folder) as start:
        first = start("users", "users-1", "--config", "mesh.toml")
        await first.ready()
        mesh = Mesh(folder / "mesh.toml")
        try:
            await mesh.client(Users).fetch(id=USER)
            second = start("users", "users-2", "--config", "mesh.toml")
            await second.ready()
            await until(lambda: len(mesh.fleet("users").available) == 2, "both known", within_s=1.0)
            failures: list[object] = []
            await gatherResults([fetching(mesh, USER, failures) for _ in range(200)])
            shares = [replica.attempts for replica in mesh.fleet("users").available]
            assert failures == []
            assert min(shares) >= 60
        finally:
            mesh.close()


async def test_a_replica_on_standby_takes_calls_when_it_is_announced(folder: Path) -> None:
    with children(folder) as start:
        mark = folder / "run" / "announced"
        line = ("--config", "mesh.toml", "--standby", str(mark), "--weight", "2")
        child = start("users", "users-1", *line)
        _, admin = await child.ready()
        mesh = Mesh(folder / "mesh.toml")
        try:
            [endpoint] = await mesh.registry.endpoints()
            assert endpoint.standby
            assert endpoint.weight == 2
            fleet = mesh.fleet("users")
            assert fleet.available == []
            health = await treq.get(f"http://{admin}/health/ready")
            assert (health.code, await health.json()) == (503, {"status": "standby"})
            # Whoever asks it directly is answered: that is what standing by is for.
            asked = await treq.get(f"http://{endpoint.address}/v1/users/{USER}")
            assert asked.code == 200

            announced = await treq.post(f"http://{admin}/announce")
            assert (announced.code, await announced.json()) == (200, {"status": "ready"})
            await until(lambda: fleet.available, "used", within_s=1.0)
            await mesh.client(Users).fetch(id=USER)

            child.signal(signal.SIGKILL)
            await child.ended()
            again = start("users", "users-1", *line)
            await again.ready()
            [endpoint] = await mesh.registry.endpoints()
            assert (endpoint.standby, endpoint.pid) == (False, again.pid)
        finally:
            mesh.close()


@pytest.mark.parametrize("reactor", ["mesh", "epoll", "poll", "select", "asyncio"])
async def test_sigterm_under_load_loses_nothing(folder: Path, reactor: str) -> None:
    """Calls that may not be repeated go on all the time; none may be lost, and the exit is 0."""
    with children(folder) as start:
        config = ("--config", "mesh.toml")
        stays = start("users", "stays", *config, reactor=reactor)
        leaves = start("users", "leaves", *config, reactor=reactor)
        await stays.ready()
        await leaves.ready()
        mesh = Mesh(folder / "mesh.toml")
        users = mesh.client(OnceOnly)
        failures: list[object] = []
        running: list[Deferred[None]] = []
        # Each gets one attempt. Its version is stale on purpose, so every one of them is answered
        # 412, and nothing is changed.
        try:
            await mesh.client(Users).fetch(id=USER)
            left = False
            for round_ in range(300):
                if round_ == 60:
                    leaves.signal(signal.SIGTERM)
                call = users.update(id=USER, version=999, name="Nobody", email="nobody@example.com")
                running.append(
                    call.addCallbacks(
                        lambda _: failures.append("updated"),
                        lambda failure: (
                            None
                            if getattr(failure.value, "status", 0) == 412
                            else failures.append(failure.value)
                        ),
                    )
                )
                await sleep(0.005)
                left = left or len(mesh.fleet("users").available) == 1
            await gatherResults(running)
            assert failures == []
            assert left
            assert await leaves.ended() == 0
            assert leaves.event("has left") is not None
        finally:
            mesh.close()


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["alone", "workers"])
async def test_who_comes_while_a_replica_leaves_is_answered_too(
    folder: Path, workers: tuple[str, ...]
) -> None:
    """Also where nobody was connected when it was told to: callers of other kinds do not look."""
    answered: Counter[int] = Counter()

    async def ask(address: str) -> None:
        with suppress(ConnectError):
            while True:
                url = f"http://{address}/v1/users/{USER}"
                answer = await treq.get(url, persistent=False)
                await answer.content()
                answered[answer.code] += 1

    with children(folder) as start:
        child = start("users", "users-1", "--config", "mesh.toml", *workers)
        address, _ = await child.ready()
        child.signal(signal.SIGTERM)
        await until(lambda: child.event("left the registry"), "it leaves")
        await gatherResults([Deferred.fromCoroutine(ask(address)) for _ in range(5)])
        assert await child.ended() == 0
    assert set(answered) == {200}
    assert answered[200] > 10


async def test_a_replica_that_waits_for_its_storage_leaves_when_it_is_told(folder: Path) -> None:
    """Another replica's migration holds the lock for as long as it likes."""
    (folder / "data").mkdir()
    with (folder / "data" / "users.sqlite.lock").open("ab") as lock, children(folder) as start:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start("users", "users-1", "--config", "mesh.toml")
        await until((folder / "data" / "users.sqlite").exists, "its opening")
        child.signal(signal.SIGTERM)
        assert await child.ended(within_s=10.0) == 0
        assert child.event("has left") is not None
        assert child.event("cannot start") is None


async def test_a_replica_starts_when_another_migration_ends(folder: Path) -> None:
    (folder / "data").mkdir()
    with (folder / "data" / "users.sqlite.lock").open("ab") as lock, children(folder) as start:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start("users", "users-1", "--config", "mesh.toml")
        await until((folder / "data" / "users.sqlite").exists, "its opening")
        fcntl.flock(lock, fcntl.LOCK_UN)
        await child.ready()


async def test_an_admin_port_on_every_interface_is_announced_as_advertised(folder: Path) -> None:
    with children(folder) as start:
        options = ("--admin", "tcp:0:interface=0.0.0.0", "--advertise", "localhost")
        child = start("users", "users-1", "--config", "mesh.toml", *options)
        address, admin = await child.ready()
        assert address.startswith("localhost:")
        assert admin.startswith("localhost:")


async def test_a_text_log_is_text(folder: Path) -> None:
    with children(folder) as start:
        child = start("users", "users-1", "--config", "mesh.toml", "--log", "text")
        await until(lambda: "] users-1 serves users on http://" in child.log.read_text(), "ready")
        child.signal(signal.SIGTERM)
        assert await child.ended() == 0
        assert "] users-1 has left after " in child.log.read_text()


async def test_the_registry_forgets_a_killed_replica_soon(folder: Path) -> None:
    with children(folder) as start:
        child = start("users", "users-1", "--config", "mesh.toml")
        await child.ready()
        mesh = Mesh(folder / "mesh.toml")
        try:
            await mesh.client(Users).fetch(id=USER)
            child.process.kill()
            child.process.wait()
            # 200 ms on a machine that has time for it; this one may be busy.
            await until(lambda: not mesh.fleet("users").replicas, "forgotten", within_s=1.0)
        finally:
            mesh.close()


async def test_plain_http_on_every_port(folder: Path) -> None:
    """The service port's paths, and the admin port's, as anybody's client sees them."""
    import treq

    with children(folder) as start:
        child = start("users", "users-1", "--config", "mesh.toml")
        address, admin = await child.ready()

        async def get(url: str, method: str = "GET") -> tuple[int, bytes]:
            response = await treq.request(method, url, persistent=False)
            return response.code, await response.content()

        assert (await get(f"http://{address}/v1/users/{USER}"))[0] == 200
        assert (await get(f"http://{address}/openapi.json"))[0] == 200
        assert b"rapi-doc" in (await get(f"http://{address}/docs"))[1]
        assert await get(f"http://{admin}/health/live") == (200, b'{"status":"live"}')
        assert await get(f"http://{admin}/health/ready") == (200, b'{"status":"ready"}')
        status, metrics = await get(f"http://{admin}/metrics")
        assert status == 200
        assert b'mesh_requests_total{route="users.fetch",status="200"} 1.0' in metrics
        assert b"process_resident_memory_bytes" in metrics
        status, decisions = await get(f"http://{admin}/decisions")
        assert status == 200
        assert decisions.startswith(b'{"format":"txmesh-decisions","version":1,"caller":"users-1",')
        assert (await get(f"http://{admin}/drain", "POST"))[0] == 202
        assert await child.ended() == 0


# Tells how many objects a full collection would look at.
COUNTS = """
import gc, pathlib, signal

def count(*_):
    pathlib.Path("counted.part").write_text(str(len(gc.get_objects())))
    pathlib.Path("counted.part").rename("counted")

signal.signal(signal.SIGUSR2, count)
"""


@pytest.mark.parametrize("workers", [(), ("--workers", "1")], ids=["alone", "worker"])
async def test_a_collection_under_load_looks_at_little(
    folder: Path, workers: tuple[str, ...]
) -> None:
    """Else the first one holds up all calls of a new replica for several tenths of a second."""
    (folder / "sitecustomize.py").write_text(COUNTS)
    with children(folder) as start:
        path = {"PYTHONPATH": f"{folder}:{ROOT}"}
        child = start("users", "users-1", "--config", "mesh.toml", *workers, environ=path)
        await child.ready()
        serving = workers_of(child) if workers else [child.pid]
        for pid in serving:
            os.kill(pid, signal.SIGUSR2)
        await until((folder / "counted").exists, "counted")
        # Of over a hundred thousand.
        assert int((folder / "counted").read_text()) < 20_000


async def test_a_replica_leaves_with_the_process_that_holds_its_input(folder: Path) -> None:
    import subprocess
    import sys

    log = folder / "held.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("twistd")),
                *("-n", "--pidfile=", "mesh-users", "--config", "mesh.toml", "--until-eof"),
            ],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
        )
    try:
        await until(lambda: " serves " in log.read_text(), "ready")
        assert process.stdin is not None
        process.stdin.close()
        await until(lambda: process.poll() is not None, "its end")
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("config", "options", "words"),
    [
        ("[sever]\n", (), "unknown section [sever]; did you mean 'server'?"),
        ("[server]\nidle = 3\n", (), "line 2: unknown key 'idle' in [server]"),
        ("[registry]\nurl = 'consul:x'\n", (), "registry url 'consul:...' is not understood"),
        ("", ("--listen", "udp:3"), "is not tcp:PORT:interface=HOST"),
        ("", ("--listen", "tcp:0:interface=0.0.0.0"), "--listen on every interface needs"),
        ("", ("--admin", "tcp:0:interface=0.0.0.0"), "--admin on every interface needs"),
        ("", ("--listen", "tcp:1:interface=127.0.0.1"), "cannot start"),
    ],
)
async def test_a_replica_that_cannot_start_says_why_and_fails(
    folder: Path, config: str, options: tuple[str, ...], words: str
) -> None:
    if "tcp:1:" in " ".join(options) and os.getuid() == 0:
        # Root may listen there: take a port that is taken instead.
        import socket

        taken = socket.create_server(("127.0.0.1", 0))
        options = ("--listen", f"tcp:{taken.getsockname()[1]}")
    (folder / "mesh.toml").write_text(config)
    with children(folder) as start:
        child = start("users", "users-1", "--config", "mesh.toml", *options)
        assert await child.ended() != 0
        assert words in child.log.read_text()
