"""The units as systemd reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.kit.server import ServerSettings
from tests.processes import ROOT

UNITS = ROOT / "deploy" / "systemd"
# Tenths of systemd's measure from 0 (nothing can happen) to 10; 14 when this was written.
EXPOSED = 20


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with the programs of this environment."""
    assert shutil.which("systemd-analyze"), "deploy/system-packages.sh installs it"
    for path in UNITS.glob("*@*"):
        text = path.read_text().replace("/opt/txmesh/.venv", str(Path(sys.executable).parents[1]))
        (tmp_path / path.name).write_text(text)
    return tmp_path


def analyze(folder: Path, *line: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *line], cwd=folder, capture_output=True, text=True, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_the_units_are_valid(units: Path) -> None:
    shutil.copy(units / "txmesh@.service", units / "txmesh@users.service")
    said = analyze(units, "verify", "./txmesh@users.service", "./txmesh@users.socket")
    assert "txmesh@" not in said, said  # an unknown setting is a warning only


def test_a_replica_can_do_little_to_the_machine(units: Path) -> None:
    said = analyze(
        units,
        *("security", "--offline=true", "--no-pager", f"--threshold={EXPOSED}"),
        "./txmesh@.service",
    )
    assert "Overall exposure level" in said


def test_a_stop_has_the_time_that_a_drain_takes() -> None:
    text = (UNITS / "txmesh@.service").read_text()
    found = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert found is not None
    settings = ServerSettings()
    assert int(found[1]) > settings.drain_s + settings.drain_notice_s + 5
