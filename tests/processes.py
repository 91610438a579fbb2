"""Real replicas for tests: child ``twistd`` processes that are always cleaned up.

Waiting is for conditions, on the reactor, so that a test can call replicas while it waits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

ROOT = Path(__file__).resolve().parent.parent


async def until(condition: Callable[[], Any], what: str, within_s: float = 20.0) -> Any:
    """Wait until a condition holds; its first true value is returned.

    Raises:
        AssertionError: it did not come to hold in time.
    """
    from twisted.internet import reactor

    end = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s} s: {what}")
        await deferLater(reactor, 0.02, lambda: None)
    return value


def sleep(seconds: float) -> Deferred[None]:
    """Let the reactor run for a while: for load that lasts, never to wait for a condition."""
    from twisted.internet import reactor

    return deferLater(reactor, seconds, lambda: None)


class Child:
    """One ``twistd`` child.

    Attributes:
        process: the child.
        log: what it printed.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def events(self) -> list[dict[str, Any]]:
        """Its JSON log lines so far."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def event(self, words: str) -> dict[str, Any] | None:
        """The first log line whose message has these words."""
        return next((event for event in self.events() if words in event["message"]), None)

    async def ready(self) -> tuple[str, str]:
        """Wait until it serves; its address and admin address."""

        def serves() -> dict[str, Any] | None:
            if self.process.poll() is not None:
                raise AssertionError(f"the replica ended: {self.log.read_text()[-2000:]}")
            return self.event(" serves ")

        event = await until(serves, f"ready: {self.log}")
        return event["address"], event["admin"]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self, within_s: float = 40.0) -> int:
        """Wait for its end; its exit status."""
        await until(lambda: self.process.poll() is not None, "the replica's end", within_s)
        return self.process.returncode


@contextmanager
def children(folder: Path, *, path: Path = ROOT) -> Iterator[Callable[..., Child]]:
    """Start replicas whose state lies in a folder; all of them are killed at the end.

    Yields:
        A function ``start(service, name, *options)`` that starts one.
    """
    started: list[Child] = []

    def start(
        service: str,
        name: str,
        *options: str,
        reactor: str = "mesh",
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> Child:
        log = folder / f"{name}.log"
        twistd = Path(sys.executable).with_name("twistd")
        command = [str(twistd), "-n", "--pidfile=", f"--reactor={reactor}", f"mesh-{service}"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--name", name, *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(path), **environ},
            )
        child = Child(process, log)
        started.append(child)
        return child

    try:
        yield start
    finally:
        for child in started:
            if child.process.poll() is None:
                # A frozen one takes no other signal.
                child.process.kill()
            child.process.wait()
