"""Real replicas behind a registry that forgets, lies or is lost, under load."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from balancer import CallError, Endpoint
from balancer.discovery import Memory
from balancer.testing import FakeRegistry
from clients import Mesh
from clients.users import Users
from tests.load import USER, SteadyLoad
from tests.processes import children, sleep, until
from tests.txmesh import txmesh

RATE = 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh.toml").write_text('[registry]\nurl = "file:leases"\n')
    return tmp_path


async def test_a_folder_that_is_emptied_under_load_costs_no_call(folder: Path) -> None:
    with children(folder) as start:
        for name in ("users-1", "users-2"):
            await start("users", name, "--config", "mesh.toml").ready()
        mesh = Mesh(folder / "mesh.toml")
        try:
            await until(lambda: len(mesh.fleet("users").available) == 2, "both known")

            def emptied() -> bool:
                # Again and again, for each replica enters itself anew within a second.
                for entry in (folder / "leases" / "users").glob("*.json"):
                    entry.unlink(missing_ok=True)
                return bool(mesh.view.held().get("users"))

            load = SteadyLoad(mesh, RATE)
            for _ in range(3):
                await sleep(0.5)
                await until(emptied, "the entries are missed")
                await until(lambda: len(mesh.fleet("users").replicas) == 2, "both are known again")
                await until(lambda: not mesh.view.held().get("users"), "by the registry")
            await load.stop()
            assert load.failures == []
            assert load.calls > 2 * RATE
            assert not (folder / ".mesh" / "known").exists(), "a folder needs no memory"
        finally:
            mesh.close()


async def test_replicas_that_die_together_are_held_no_longer_than_it_takes_to_see(
    folder: Path,
) -> None:
    with children(folder) as start:
        both = [start("users", name, "--config", "mesh.toml") for name in ("users-1", "users-2")]
        for child in both:
            await child.ready()
        mesh = Mesh(folder / "mesh.toml")
        try:
            await mesh.client(Users).fetch(id=USER)
            for child in both:
                child.signal(signal.SIGKILL)
            await until(
                lambda: not mesh.fleet("users").replicas, "both are gone, without a call", 5.0
            )
            waiting = mesh.client(Users).fetch.options(deadline_s=20.0)(id=USER)
            start("users", "users-3", "--config", "mesh.toml")
            assert (await waiting).id == USER
        finally:
            mesh.close()


async def test_a_port_that_another_service_has_now_answers_421_and_nobody_notices(
    folder: Path,
) -> None:
    with children(folder) as start:
        old, other = start("users", "users-1"), start("users", "users-2")
        (old_at, _), (other_at, _) = await old.ready(), await other.ready()
        # A registry that goes on telling of the old one, as one with leases does for some seconds.
        registry = FakeRegistry()
        registry.set(
            "users",
            [
                Endpoint(service="users", replica=name, address=address, pid=pid)
                for name, address, pid in (
                    ("users-1", old_at, old.pid),
                    ("users-2", other_at, other.pid),
                )
            ],
        )
        mesh = Mesh(registry=registry)
        try:
            load = SteadyLoad(mesh, RATE)
            await sleep(0.5)
            # Killed: one that drains says so, and is not asked again as long as it is announced.
            old.signal(signal.SIGKILL)
            await old.ended()
            host, _, port = old_at.rpartition(":")
            products = start("products", "products-1", "--listen", f"tcp:{port}:interface={host}")
            await products.ready()
            gone = mesh.fleet("users").replicas[old_at]
            await until(lambda: gone.gone, "somebody has asked there, and was told")
            attempts = gone.attempts
            await sleep(1.0)
            await load.stop()
            assert load.failures == []
            (stats,) = mesh.stats()
            assert stats.rejected == 0
            assert gone.attempts <= attempts + 5, "it is left alone"
        finally:
            mesh.close()


async def test_a_caller_that_starts_while_the_registry_is_lost(folder: Path) -> None:
    with children(folder) as start:
        address, _ = await start("users", "users-1", "--config", "mesh.toml").ready()
        endpoint = Endpoint(service="users", replica="users-1", address=address, pid=1)
        registry = FakeRegistry()
        registry.lose()
        first = Mesh(folder / "mesh.toml", registry=registry)
        waiting = first.client(Users).fetch(id=USER)
        registry.set("users", [endpoint])
        registry.find()
        assert (await waiting).id == USER
        first.close()

        lost = FakeRegistry()
        lost.lose()
        second = Mesh(folder / "mesh.toml", registry=lost)
        assert (await second.client(Users).fetch(id=USER)).id == USER
        second.close()

        (folder / "other.toml").write_text('[registry]\nurl = "file:leases"\nknown = ""\n')
        third = Mesh(folder / "other.toml", registry=lost)
        with pytest.raises(CallError) as failed:
            await third.client(Users).fetch.options(deadline_s=0.3)(id=USER)
        assert "has not told of users yet" in str(failed.value)
        third.close()


def test_status_shows_what_was_known_while_the_registry_is_lost(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: whoever connects is refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = f"redis://127.0.0.1:{port}/0"
        (tmp_path / "mesh.toml").write_text(f'[registry]\nurl = "{url}"\n')
        nowhere = Endpoint(service="users", replica="users-1", address="127.0.0.1:1")
        memory = Memory(tmp_path / ".mesh" / "known", url, time.time)
        memory.write("users", [(nowhere, 600.0)])
        done = txmesh(tmp_path, "status", "--json", "--config", "mesh.toml")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["registry"]["answered"] is False
    assert 600.0 <= document["registry"]["age_s"] < 660.0
    assert [(r["replica"], r["state"]) for r in document["replicas"]] == [
        ("users-1", "unreachable")
    ]
    assert "shown is what was known 10 min ago" in done.stderr
