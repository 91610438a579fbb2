"""`txmesh replace` whose output is gone: its status stays, and what can be written is."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from balancer import MonotonicClock
from balancer.discovery import RegistrySettings, open_registry
from services.ops.fleet.attended import Attended
from services.ops.fleet.ended import Ended
from services.ops.fleet.plan.steps import Outcome
from services.ops.fleet.telling.events import Event
from services.ops.fleet.telling.narrator import Narrator
from services.ops.fleet.telling.showing import Showing
from services.ops.output import write_json
from tests.deferreds import now
from tests.signals import SignalReactor, own_handlers
from tests.txmesh import COMMAND

NEW = "users-2.k3f-1"
FAILED = Ended(Outcome.ROLLED_BACK, f"{NEW} ended", NEW)


class Task:
    """A replacement that ends when a test says so."""

    def __init__(self) -> None:
        self.done: Deferred[Ended] = Deferred()
        self.stops = 0
        self.left = ""

    async def run(self) -> Ended:
        return await self.done

    def stop(self) -> None:
        self.stops += 1

    def leave(self, why: str) -> Coroutine[Any, Any, None]:
        async def leave() -> None:
            self.left = why

        return leave()


class Dead(io.StringIO):
    """A stream that fails at every write and flush: a terminal that hung up, unbuffered."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def flush(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    with own_handlers():
        yield


def attend(
    task: Task, *, as_json: bool, show: Callable[[Event], None] = write_json
) -> Deferred[int]:
    """Run it as the command does, with a display whose terminal is gone."""

    def stop_showing() -> None:
        raise OSError(errno.EIO, "Input/output error")

    attended = Attended(
        "users",
        "2",
        task=task,
        telling=Narrator(Clock(), 1.0, Showing(show, sys.stdout)),
        stop_showing=stop_showing,
        tail=lambda _: succeed(["KeyError"]),
        kept="users.json",
        as_json=as_json,
    )
    return Deferred.fromCoroutine(attended.run(SignalReactor()))


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("gone", [Dead, lambda: None], ids=["dead", "closed"])
@pytest.mark.parametrize("as_json", [True, False])
def test_what_cannot_be_written_takes_nothing_else_with_it(
    name: str, gone: Callable[[], Any], as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each way of ending has its own last words.
    for ended, status in ((FAILED, 1), (Ended(Outcome.BUSY), 4), (Ended(Outcome.REPLACED), 0)):
        heard = io.StringIO()
        monkeypatch.setattr(sys, "stderr" if name == "stdout" else "stdout", heard)
        monkeypatch.setattr(sys, name, gone())
        task = Task()
        result = attend(task, as_json=as_json)
        task.done.callback(ended)
        assert now(result) == status
        told = heard.getvalue()
        if name == "stderr" and as_json:
            assert json.loads(told)["status"] == status
        elif name == "stdout" and (as_json or status):
            assert told.splitlines()[-1].startswith("txmesh: users is ")
            assert ("    KeyError\n" in told) is (ended is FAILED)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_hang_up_stops_it_though_nobody_can_be_told(
    as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task()
    result = attend(task, as_json=as_json)
    monkeypatch.setattr(sys, "stderr", Dead())
    signal.raise_signal(signal.SIGHUP)
    assert task.stops == 1
    signal.raise_signal(signal.SIGHUP)
    assert now(result) == 3
    assert task.left == "it was interrupted twice"


class Hasty(Task):
    """It ends as soon as it is stopped."""

    def stop(self) -> None:
        super().stop()
        self.done.callback(Ended(Outcome.BUSY))


def test_what_follows_from_a_hang_up_is_told_before_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = attend(Hasty(), as_json=True)
    signal.raise_signal(signal.SIGHUP)
    assert now(result) == 4
    out, err = capsys.readouterr()
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["notice", "ended"]
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        "interrupted",
        "users is not replaced (0.0 s)",
    ]


def broken(event: Event) -> None:
    raise RuntimeError(event)


def test_no_fault_of_the_telling_keeps_it_from_being_stopped() -> None:
    task = Task()
    attend(task, as_json=True, show=broken)
    with pytest.raises(RuntimeError):
        signal.raise_signal(signal.SIGHUP)
    assert task.stops == 1


def test_what_a_program_is_told_comes_before_what_people_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = io.StringIO()
    monkeypatch.setattr(sys, "stdout", both)
    monkeypatch.setattr(sys, "stderr", both)
    task = Task()
    attend(task, as_json=True)
    task.done.callback(FAILED)
    first, *others = both.getvalue().splitlines()
    assert json.loads(first)["event"] == "ended"
    last = f"txmesh: users is rolled back, the old replicas are all there: {NEW} ended"
    assert others[1:] == ["    KeyError", last]


# As a process: what Python itself does with a stream is part of it.


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """A folder in which another replacement of users runs, as far as the lock says so."""
    clock: Any = Clock()
    settings = RegistrySettings()
    registry = open_registry(
        settings, tmp_path, reactor=clock, clock=MonotonicClock(clock), rng=random.Random(1)
    )
    assert now(registry.lock("replace.users", "deploy-1, process 7")) is not None
    yield tmp_path
    registry.close()


def replace(folder: Path, redirected: str, *, unbuffered: str) -> subprocess.CompletedProcess[str]:
    line = f'exec "$0" replace users --version 2 --json {redirected}'
    return subprocess.run(
        ["sh", "-c", line, *COMMAND],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("redirected", [">/dev/full", "2>/dev/full", ">/dev/full 2>&1"])
def test_the_command_ends_with_its_status_though_nobody_can_read_it(
    redirected: str, unbuffered: str, busy: Path
) -> None:
    done = replace(busy, redirected, unbuffered=unbuffered)
    assert done.returncode == 4, done
    if redirected == ">/dev/full":
        assert "txmesh: users is not replaced: another replacement" in done.stderr
        assert "Exception" not in done.stderr
    if redirected == "2>/dev/full":
        assert json.loads(done.stdout.splitlines()[-1])["status"] == 4


# On a terminal.

NOTICED = """
import sys
from twisted.internet.task import Clock
from services.ops.faults import say
from services.ops.fleet.telling.display import display
from services.ops.fleet.telling.narrator import Narrator
clock = Clock()
show, stop = display(clock)
narrator = Narrator(clock, 10.0, show)
for name in ("users-1", "users-2"):
    narrator.tell_replica(name, "ready", version="1", address="127.0.0.1:4001")
narrator.tell_decision("build", "2", "")
narrator.waits("0 of 2 new replicas answer")
narrator.notices(narrator.interrupted())
say("the registry is lost")
narrator.tell_replica("users-1", "draining", version="1", address="127.0.0.1:4001")
stop()
"""
COLUMNS = 240


def on_a_terminal(code: str) -> list[str]:
    """The lines that remain on a terminal; those that were drawn over are not among them."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while some := os.read(ours, 65536):
                written += some
        except OSError:  # so a terminal tells that nobody has it any more
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0, written
    return remaining(written.decode())


def remaining(text: str) -> list[str]:
    """What a terminal makes of a text, as far as rich uses one."""
    lines = [[" "] * COLUMNS for _ in range(100)]
    row = column = 0
    for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|.|\n", text, re.DOTALL):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
        elif token == "\x1b[2K":
            lines[row] = [" "] * COLUMNS
        elif token.startswith("\x1b"):
            row -= int(token[2:-1] or 1) if token.endswith("A") else 0
        else:
            lines[row][column] = token
            column += 1
    return [line for each in lines if (line := "".join(each).rstrip())]


def test_a_notice_stays_above_the_table_on_a_terminal() -> None:
    lines = on_a_terminal(NOTICED)
    noticed = (
        "txmesh: interrupted: it is undone; it waits: 0 of 2 new replicas answer; "
        "^C again leaves it as it is, for the next run"
    )
    assert lines[:2] == [noticed, "txmesh: the registry is lost"]
    assert [line.split()[0] for line in lines[2:5]] == ["replica", "users-1", "users-2"]
    assert len(lines) == 7, lines  # and below them what goes on and what is waited for
