"""Writes that are tried at once, on the stock reactor and on ours."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from twisted.internet.threads import deferToThread

from tests.processes import ROOT
from tests.unit.balancer.transport.optimistic_cases import CASES, Case, run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_on_the_stock_reactor(case: Case) -> None:
    await run(case)


async def test_on_the_mesh_reactor() -> None:
    def child() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.unit.balancer.transport.optimistic_cases"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    ended = await deferToThread(child)
    held = [line for line in ended.stdout.splitlines() if line in {c.__name__ for c in CASES}]
    assert held == [case.__name__ for case in CASES], ended.stdout + ended.stderr
    assert ended.returncode == 0
