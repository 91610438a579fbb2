"""What a new server is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.kit.driver_settings import CloudSettings
from services.ops.fleet.drivers.firstboot import first_boot
from services.ops.fleet.drivers.interface import Build, DriverError

BUILD = Build(service="users", replica="users-2.k3f-1", version="2")


def told(registry: str, **settings: Any) -> dict[str, Any]:
    text = first_boot(BUILD, CloudSettings(**settings), registry)
    head, _, rest = text.partition("\n")
    assert head == "#cloud-config"
    document: dict[str, Any] = json.loads(rest)
    return document


def test_a_server_starts_its_replica_on_standby_with_the_registry_of_this_one() -> None:
    document = told("redis://10.0.0.1:6379/0")
    unit, config = document["write_files"]
    assert unit["path"] == "/etc/systemd/system/txmesh-users-2.k3f-1.service"
    line = next(line for line in unit["content"].splitlines() if line.startswith("ExecStart="))
    assert line.startswith("ExecStart=/opt/txmesh/.venv/bin/twistd -n --pidfile= ")
    for words in (
        "mesh-users --config /etc/txmesh/mesh.toml --name users-2.k3f-1 --release 2",
        "--advertise ${MESH_HOST} --standby ${STATE_DIRECTORY}/announced",
    ):
        assert words in line
    assert config["path"] == "/etc/txmesh/mesh.toml"
    assert 'url = "redis://10.0.0.1:6379/0"' in config["content"]
    assert document["runcmd"][-1] == [
        "systemctl", "enable", "--now", "txmesh-users-2.k3f-1.service",
    ]  # fmt: skip


def test_a_configuration_in_the_image_is_used_as_it_is() -> None:
    document = told("redis://:secret@10.0.0.1", config="/etc/mesh.toml")
    assert [file["path"] for file in document["write_files"]] == [
        "/etc/systemd/system/txmesh-users-2.k3f-1.service"
    ]
    assert "--config /etc/mesh.toml" in document["write_files"][0]["content"]
    assert "secret" not in json.dumps(document)


def test_a_registry_that_no_server_reaches_is_refused() -> None:
    for registry in ("file:.mesh/leases", "static:users=10.0.0.1:1"):
        with pytest.raises(DriverError, match="cannot enter themselves in a"):
            told(registry)


def test_a_password_is_not_put_where_others_read_it() -> None:
    with pytest.raises(DriverError, match="has a password") as raised:
        told("redis://:hush-hush@10.0.0.1")
    assert "hush-hush" not in str(raised.value)
