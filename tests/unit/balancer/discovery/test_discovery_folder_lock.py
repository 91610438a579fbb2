"""Locks in a folder: one holder, a note for the next, gone with the process."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from balancer import RegistryError
from balancer.discovery import FolderRegistry
from tests.deferreds import now
from tests.descriptors import descriptors_in

HOLD = """
import sys
from pathlib import Path
from twisted.internet.task import Clock
from balancer.discovery import FolderRegistry

FolderRegistry(Path(sys.argv[1]), Clock()).lock("job", "another").addCallback(print, flush=True)
sys.stdin.read()
"""


def test_one_at_a_time_and_a_note_for_the_next(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path, Clock())
    first = now(registry.lock("job", "me"))
    assert first is not None
    assert first.note == ""
    assert now(FolderRegistry(tmp_path, Clock()).lock("job", "you")) is None
    assert now(registry.lock("other", "me")) is not None
    now(first.release("done 7"))
    now(first.release("too late"))
    second = now(registry.lock("job", "you"))
    assert second is not None
    assert second.note == "done 7"
    now(second.release())
    third = now(registry.lock("job", "you"))
    assert third is not None
    assert third.note == "done 7"


def test_a_dead_holders_lock_is_free_at_once(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path, Clock())
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "FolderLock" in process.stdout.readline()
        assert now(registry.lock("job", "me")) is None
        assert now(registry.holder("job")) == "another"
        process.kill()
        process.wait()
    assert now(registry.holder("job")) == ""
    assert now(registry.lock("job", "me")) is not None
    assert now(registry.holder("job")) == "me"


def test_who_looks_at_a_dead_holders_lock_does_not_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".locks" / "job"
    file.parent.mkdir()
    file.write_text('{"holder":"dead","note":"half done"}')
    looked: list[object] = []
    flock = fcntl.flock

    def one_looks(descriptor: int, operation: int) -> None:
        if looked:
            flock(descriptor, operation)
            return
        with file.open() as looking:
            looked.append(looking)
            flock(looking, fcntl.LOCK_SH)
            flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", one_looks)
    lock = now(FolderRegistry(tmp_path, Clock()).lock("job", "me"))
    assert lock is not None
    assert lock.note == "half done"


def test_a_lock_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / ".locks").write_text("no folder")
    with pytest.raises(RegistryError, match=r"\.locks/job cannot be read \(Not a directory\)"):
        now(FolderRegistry(tmp_path, Clock()).holder("job"))


def test_a_file_of_somebody_elses_names_nobody(tmp_path: Path) -> None:
    (tmp_path / ".locks").mkdir()
    (tmp_path / ".locks" / "job").write_text("[" * 100_000)
    assert now(FolderRegistry(tmp_path, Clock()).holder("job")) == ""


def test_a_holder_is_told_when_its_file_is_gone(tmp_path: Path) -> None:
    clock = Clock()
    registry = FolderRegistry(tmp_path, clock)
    lock = now(registry.lock("job", "me"))
    assert lock is not None
    told: list[object] = []
    lock.lost.addCallback(told.append)
    clock.advance(1)
    clock.advance(1)
    assert not told
    shutil.rmtree(tmp_path / ".locks")
    clock.advance(1)
    assert told
    now(lock.release())
    assert clock.getDelayedCalls() == []


def test_a_lock_is_no_service_and_its_name_leads_nowhere_else(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path, Clock())
    now(registry.lock("job", "me"))
    assert now(registry.endpoints()) == []
    with pytest.raises(RegistryError, match="lock name"):
        now(registry.lock("../job", "me"))


def test_a_file_of_somebody_elses_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".locks").mkdir()
    (tmp_path / ".locks" / "job").write_text("what is this?" * 100)
    registry = FolderRegistry(tmp_path, Clock())
    lock = now(registry.lock("job", "me"))
    assert lock is not None
    assert lock.note == ""
    now(lock.release("x"))
    again = now(registry.lock("job", "me"))
    assert again is not None
    assert again.note == "x"


def refuse(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fcntl if name == "flock" else os, name, full)


@pytest.mark.parametrize("name", ["pwrite", "flock"])
def test_a_lock_that_cannot_be_taken_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    registry = FolderRegistry(tmp_path, Clock())
    with monkeypatch.context() as full:
        refuse(full, name)
        with pytest.raises(RegistryError, match="cannot be written"):
            now(registry.lock("job", "me"))
    assert descriptors_in(tmp_path) == 0
    assert now(registry.lock("job", "you")) is not None


def test_a_short_write_is_a_failed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 1)
    with pytest.raises(RegistryError, match="No space left"):
        now(FolderRegistry(tmp_path, Clock()).lock("job", "me"))


def test_a_lock_whose_note_cannot_be_written_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    registry = FolderRegistry(tmp_path, clock)
    lock = now(registry.lock("job", "me"))
    assert lock is not None
    with monkeypatch.context() as full:
        refuse(full, "pwrite")
        with pytest.raises(RegistryError, match="is given back, but its note"):
            now(lock.release("done"))
    assert clock.getDelayedCalls() == []
    assert now(registry.lock("job", "you")) is not None


def test_a_forked_child_does_not_keep_a_lock(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path, Clock())
    lock = now(registry.lock("job", "me"))
    assert lock is not None
    context = multiprocessing.get_context("fork")
    theirs, mine = context.Pipe(duplex=False)
    child = context.Process(target=theirs.recv)
    child.start()
    try:
        now(lock.release())
        assert now(registry.lock("job", "you")) is not None
    finally:
        mine.send("end")
        child.join()
