"""Whoever reads a command's output may have enough: that is said by the exit status alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.txmesh import COMMAND, start_txmesh, txmesh


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `status` has something to tell, and nothing needs to run."""
    (tmp_path / "mesh.toml").write_text('[registry]\nurl = "static:users=127.0.0.1:1"\n')
    return tmp_path


def words(line: str) -> list[str]:
    return [line] if line.startswith("-") else [*line.split(), "--config", "mesh.toml"]


@pytest.mark.parametrize("line", ["status", "status --json", "--version"])
def test_an_answer_that_nobody_reads_is_no_answer(folder: Path, line: str) -> None:
    with start_txmesh(folder, *words(line)) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()  # as by `| head -0`, long before it has something to write
        told = running.stderr.read()
        assert (running.wait(timeout=20), told) == (1, "")


def test_an_answer_that_finds_no_room_is_told_in_one_line(folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *words("status --json")],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "txmesh: its output or a file cannot be written or read: No space left on device\n"
    )


def test_the_same_answer_is_given_to_whoever_reads_it(folder: Path) -> None:
    done = txmesh(folder, *words("status"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "unreachable" in done.stdout
