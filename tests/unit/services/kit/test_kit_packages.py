"""Another package of one of our names is told as such."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT


@pytest.mark.parametrize("name", ["clients", "balancer"])
def test_a_package_that_is_not_ours_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    ended = subprocess.run(
        [sys.executable, "-c", "import services.kit"],
        check=False,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert f"the package {name!r} resolves to {tmp_path / name}" in ended.stderr
    assert "rename that one" in ended.stderr
