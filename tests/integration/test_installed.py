"""The twistd plugins are found from any directory, from a wheel and from an editable install."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.processes import ROOT

# Which of the heavy modules a stub pulls in.
PROBE = """
import sys, twisted.plugins.mesh_users
print(*(name in sys.modules for name in ("services.kit", "sqlalchemy", "twisted.internet.reactor")))
"""
TWISTD = "from twisted.scripts.twistd import run; run()"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, unpacked as an installer would."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    (built,) = out.glob("txmesh-*.whl")
    folder = out / "site"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder)
    return folder


def subcommands(python: str, cwd: Path, pythonpath: str | None) -> str:
    """What ``twistd --help`` lists."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if pythonpath is not None:
        env["PYTHONPATH"] = pythonpath
    done = subprocess.run(
        [python, "-c", TWISTD, "--help"], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_editable_install_is_found_from_any_directory(tmp_path: Path) -> None:
    listed = subcommands(sys.executable, tmp_path, None)
    for name in ("mesh-greetings", "mesh-products", "mesh-users"):
        assert name in listed


def test_a_wheel_is_found_from_any_directory(tmp_path: Path, wheel: Path) -> None:
    # The interpreter beneath the environment does not see the editable install.
    base = getattr(sys, "_base_executable", sys.executable)
    site = sysconfig.get_paths()["purelib"]
    path = f"{wheel}{os.pathsep}{site}"
    listed = subcommands(base, tmp_path, path)
    for name in ("mesh-greetings", "mesh-products", "mesh-users"):
        assert name in listed
    env = {**os.environ, "PYTHONPATH": path}
    found = subprocess.run(
        [base, "-c", "import services, balancer; print(services.__file__, balancer.__file__)"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.count(str(wheel)) == 2


def test_the_wheel_has_what_replicas_read(wheel: Path) -> None:
    for name in (
        "services/kit/apipage/rapidoc-min.js",
        "services/users/sample/users.jsonl",
        "twisted/plugins/mesh_users.py",
        "balancer/py.typed",
    ):
        assert (wheel / name).is_file(), name
    assert not list(wheel.glob("twisted/**/__init__.py"))


def test_a_stub_imports_nothing_heavy() -> None:
    """Twistd loads every stub at every start, so none may pull a service in."""
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            PROBE,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == ["False", "False", "False"]
