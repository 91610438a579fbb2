"""The commands over a registry in Redis: nothing else of them changes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.redis_servers import RedisServer, free_port
from tests.txmesh import Up, txmesh

USER = "u_22yuwt6yiuetv5zn"
PASSWORD = "s3cret"


@pytest.mark.xdist_group("ops")
def test_a_mesh_in_redis_is_up_seen_called_and_gone(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--requirepass", PASSWORD) as server:
        url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}"
        config = tmp_path / "mesh.toml"
        config.write_text(f'[registry]\nurl = "{url}"\nttl_s = 2.0\n')
        check = txmesh(tmp_path, "config", "--check", "--config", str(config))
        assert check.returncode == 0, check.stderr
        shown = txmesh(tmp_path, "config", "--config", str(config))
        assert f'url = "redis://:***@127.0.0.1:{server.port}"' in shown.stdout
        assert PASSWORD not in shown.stdout + shown.stderr
        with Up(tmp_path, "--config", str(config), "users") as up:
            status = up.status()
            assert status["registry"]["url"] == f"redis://127.0.0.1:{server.port}/0"
            assert status["registry"]["age_s"] < 2.0
            assert [each["replica"] for each in status["replicas"]] == ["users-1", "users-2"]
            called = txmesh(
                tmp_path, "call", "--config", str(config), "users", "fetch", f"id={USER}"
            )
            assert called.returncode == 0, called.stderr
            assert "Orla" in called.stdout
            # A machine that has never called it waits for the registry's first word.
            shutil.rmtree(tmp_path / ".mesh" / "known")
            load = ("load", "--config", str(config), "--rate", "20", "--duration", "1")
            loaded = txmesh(tmp_path, *load, "users", "fetch", f"id={USER}", "--json")
            assert loaded.returncode == 0, loaded.stderr
            assert json.loads(loaded.stdout)["failed"] == 0
            # One that was killed comes back under its name, when its lease has ended.
            os.kill(status["replicas"][0]["pid"], signal.SIGKILL)
            end = time.monotonic() + 20.0
            while (now := _replicas(tmp_path, config))["users-1"]["state"] != "ready":
                assert time.monotonic() < end, now
            assert now["users-1"]["pid"] != status["replicas"][0]["pid"]
        gone = txmesh(tmp_path, "status", "--config", str(config))
        assert gone.returncode == 1
        assert "no replica is announced" in gone.stderr
        for path in tmp_path.rglob("*"):
            if path.is_file() and path != config:
                assert PASSWORD not in path.read_text(errors="replace"), path
        assert PASSWORD not in gone.stderr + json.dumps(status) + called.stderr


def _replicas(folder: Path, config: Path) -> dict[str, dict[str, object]]:
    asked = txmesh(folder, "status", "--json", "--config", str(config))
    found = {each["replica"]: each for each in json.loads(asked.stdout)["replicas"]}
    return {"users-1": {"state": "gone"}, **found}


@pytest.mark.xdist_group("ops")
def test_a_redis_that_is_not_there_is_said_in_one_line_without_the_password(tmp_path: Path) -> None:
    config = tmp_path / "mesh.toml"
    config.write_text(f'[registry]\nurl = "redis://:{PASSWORD}@127.0.0.1:{free_port()}"\n')
    asked = txmesh(tmp_path, "status", "--config", str(config))
    assert asked.returncode != 0
    assert "does not answer" in asked.stderr
    assert "Traceback" not in asked.stderr
    assert PASSWORD not in asked.stdout + asked.stderr
