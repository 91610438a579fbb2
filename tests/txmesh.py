"""The `txmesh` command as a child process, always cleaned up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

COMMAND = [str(Path(sys.executable).with_name("txmesh"))]
WITHIN_S = 40.0


def txmesh(folder: Path, *line: str) -> subprocess.CompletedProcess[str]:
    """Run one command line to its end, in a folder."""
    return subprocess.run(
        [*COMMAND, *line], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def start_txmesh(folder: Path, *line: str) -> Iterator[subprocess.Popen[str]]:
    """Start one command line; it is killed at the end, and with it its replicas leave."""
    with subprocess.Popen(
        [*COMMAND, *line],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


class Up:
    """A `txmesh up --json` that runs while the block does.

    Attributes:
        folder: where it runs.
        process: the command.
    """

    def __init__(self, folder: Path, *line: str) -> None:
        self.folder = folder
        self._out = folder / "up.out"
        self._err = folder / "up.err"
        self._pids: list[int] = []
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--json", *line],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def status(self) -> dict[str, Any]:
        """The line that it prints once all replicas are ready."""
        text = self._wait(self._out, "\n")
        assert text.count("\n") == 1
        document: dict[str, Any] = json.loads(text)
        self._pids = [replica["pid"] for replica in document["replicas"]]
        return document

    def told(self) -> str:
        """What it wrote to standard error so far."""
        return self._err.read_text()

    def until(self, words: str) -> None:
        """Wait until it has told something."""
        self._wait(self._err, words)

    def _wait(self, path: Path, words: str) -> str:
        end = time.monotonic() + WITHIN_S
        while words not in (text := path.read_text()):
            assert self.process.poll() is None, f"it ended: {self.told()}"
            assert time.monotonic() < end, f"not within {WITHIN_S} s: {words!r}; {self.told()}"
            time.sleep(0.02)  # between two looks at the condition; no reactor runs here
        return text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        for pid in self._pids:
            # One that a test has stopped would never see that its parent is gone.
            _kill_if_ours(pid)


def _kill_if_ours(pid: int) -> None:
    """Kill a replica that is left over; its number may be another process's by now."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return
    if b"--until-eof" in line:
        os.kill(pid, signal.SIGKILL)
