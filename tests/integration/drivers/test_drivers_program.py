"""Programs that drivers run: what came of them, and every way in which nothing comes of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from services.ops.fleet.drivers.interface import DriverError
from services.ops.fleet.drivers.program import Output, Programs


@pytest.fixture
def run() -> Programs:
    from twisted.internet import reactor

    return Programs(reactor)


def program(path: Path, content: bytes, mode: int = 0o755) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_what_came_of_one_is_told_whatever_its_status(run: Programs) -> None:
    assert await run(["sh", "-c", "echo out; echo err >&2"], 10.0) == Output(0, "out\n", "err\n")
    assert await run(["sh", "-c", "printf '\\377'; exit 3"], 10.0) == Output(3, "\ufffd", "")
    assert await run(["sh", "-c", "echo last; kill -9 $$"], 10.0) == Output(-9, "last\n", "")


async def test_one_that_is_not_there_is_told(run: Programs, tmp_path: Path) -> None:
    for name in ("txmesh-none", str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(
            DriverError, match=f"there is no program '{name}' here; is it installed"
        ):
            await run([name], 10.0)


async def test_one_that_may_not_be_executed_is_told(run: Programs, tmp_path: Path) -> None:
    path = program(tmp_path / "plain", b"#!/bin/sh\n", 0o644)
    with pytest.raises(DriverError, match=f"there is no program '{path}' .*, and executable"):
        await run([path], 10.0)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"#!/no/such/shell\n", "No such file or directory"), (b"\x7fELF", "Exec format error")],
)
async def test_one_that_the_system_cannot_start_is_told_and_leaves_nothing_open(
    run: Programs, tmp_path: Path, content: bytes, why: str
) -> None:
    path = program(tmp_path / "broken", content)
    await run(["true"], 10.0)  # a reactor's first child opens what it needs for all
    before = open_files()
    for _ in range(5):
        with pytest.raises(DriverError) as told:
            await run([path], 10.0)
        assert str(told.value) == f"{path} cannot be started ({why})"
    assert open_files() <= before


async def test_a_failure_is_one_of_the_answer_and_not_of_the_asking(run: Programs) -> None:
    """So that whoever asks for several hears of each."""
    failed = run(["txmesh-none"], 10.0)
    with pytest.raises(DriverError):
        await failed


async def test_one_that_takes_too_long_is_killed_and_its_children_are_not_waited_for(
    run: Programs, tmp_path: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(DriverError, match=r"sh has not answered within 0.2 s, and was killed"):
        # Its own child keeps its output open.
        await run(["sh", "-c", f"echo $$ >{tmp_path}/pid; sleep 5 & wait"], 0.2)
    assert time.monotonic() - began < 4
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
