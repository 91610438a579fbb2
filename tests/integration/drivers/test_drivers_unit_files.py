"""What systemd itself says of a replica's unit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.kit.driver_settings import CloudSettings, SystemdSettings
from services.ops.fleet.drivers.firstboot import first_boot
from services.ops.fleet.drivers.interface import Build
from services.ops.fleet.drivers.program import Programs
from services.ops.fleet.drivers.systemd import SystemdDriver
from services.ops.fleet.drivers.unit import service_properties, unit_file, unit_name

# One that is there; systemd warns of "nobody".
_USER = "daemon"
BUILD = Build(service="users", replica="users-2.k3f-1", version="2")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which("systemd-analyze"), "deploy/system-packages.sh installs it"
    with TemporaryDirectory() as runtime:  # a user's manager looks for its own
        return subprocess.run(
            ["systemd-analyze", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": runtime},
        )


def written(folder: Path, user: str) -> Path:
    """The unit file of what the driver would run."""
    from twisted.internet import reactor

    driver = SystemdDriver(
        SystemdSettings(),
        config=None,
        folder=folder,
        own=frozenset(),
        runtime=folder,
        run=Programs(reactor),
    )
    environment, line = driver.command(BUILD)
    properties = service_properties(BUILD.replica, user=user, writable=["/srv/data"])
    path = folder / unit_name(BUILD.replica)
    path.write_text(unit_file("users", properties, line, environment))
    return path


@pytest.mark.parametrize("manager", ["system", "user"])
def test_systemd_takes_every_property(tmp_path: Path, manager: str) -> None:
    path = written(tmp_path, _USER if manager == "system" else "")
    done = analyze("verify", f"--{manager}", "--man=no", str(path))
    # It may complain of this machine's other units; of ours it has nothing to say.
    assert path.name not in done.stderr
    assert done.returncode == 0, done.stderr


def test_a_unit_with_a_slip_would_be_told(tmp_path: Path) -> None:
    path = written(tmp_path, _USER)
    path.write_text(path.read_text().replace("ProtectSystem=strict", "ProtectSistem=strict"))
    done = analyze("verify", "--man=no", str(path))
    assert "Unknown key 'ProtectSistem' in section [Service]" in done.stderr


def test_systemd_calls_it_well_confined(tmp_path: Path) -> None:
    path = written(tmp_path, _USER)
    done = analyze("security", "--offline=true", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= 2.5, done.stdout


def test_systemd_takes_the_unit_of_a_server(tmp_path: Path) -> None:
    settings = CloudSettings(twistd="/bin/true", user=_USER)
    path = tmp_path / unit_name(BUILD.replica)
    _, _, document = first_boot(BUILD, settings, "redis://10.0.0.1").partition("\n")
    path.write_text(json.loads(document)["write_files"][0]["content"])
    done = analyze("verify", "--man=no", str(path))
    assert path.name not in done.stderr
    assert done.returncode == 0, done.stderr
