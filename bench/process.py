"""A child process as the parent has it: started, heard, and ended by its own id."""

from __future__ import annotations

import select
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_ROOT = Path(__file__).resolve().parents[1]
_END_S = 3.0


class PeerFailed(Exception):
    """A server or caller did not start, or broke; the message says which and shows its words."""


class Child:
    """One server or caller; leaving the ``with`` block ends it."""

    def __init__(self, core: int, kind: str, name: str) -> None:
        """Start it.

        Args:
            core: where it runs.
            kind: "servers" or "callers".
            name: its module there.
        """
        self.name = f"{kind}.{name}"
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.child", str(core), kind, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            cwd=_ROOT,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def tell(self, line: bytes) -> None:
        """Write one line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")

    def hear(self, wait_s: float) -> bytes:
        """Read one line from it.

        Args:
            wait_s: the longest wait, in seconds.

        Raises:
            PeerFailed: it ended, or stayed silent.
        """
        stream = self._process.stdout
        assert stream is not None
        readable, _, _ = select.select([stream], [], [], wait_s)
        line = stream.readline() if readable else b""
        if not line.endswith(b"\n"):
            what = "ended" if readable else f"was silent for {wait_s:.0f} s"
            raise PeerFailed(f"{self.name} {what}. Its last words:\n{self._last_words()}")
        return line[:-1]

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").splitlines()
        words = "\n".join(f"  {line}" for line in lines[-12:]) or "  (none)"
        if "ModuleNotFoundError" in words:
            words += "\n  Install the peers: pip install -e '.[bench]'"
        return words
