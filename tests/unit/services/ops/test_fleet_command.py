"""`txmesh replace` up to where it begins: what is refused, the journal, the smoke call."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from balancer import Reply
from clients.greetings import Greetings
from clients.products import Products
from clients.users import Users
from services.ops.command import run_command
from services.ops.faults import Failed, Misused
from services.ops.fleet.command import parse_share
from services.ops.fleet.direct import misfit, smoke_calls
from services.ops.fleet.journal import Journal, JournalFile, NotKept
from services.ops.fleet.telling.display import line_of
from services.ops.fleet.telling.events import Event, ReplicaEvent, StepEvent
from services.ops.fleet.telling.showing import Showing
from tests.simulation.fleet_world import World, wanted

JOURNAL = Journal(
    service="users",
    version="2",
    code="",
    image="",
    driver="systemd",
    generation="k3f",
    members=("users-2.k3f-1",),
    replicas=1,
    before=1,
    share=None,
)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ([], "which service? known are: greetings, products, users"),
        (["usres", "--version", "2"], "there is no service 'usres'; did you mean 'users'?"),
        (["users"], "which version? say --version V, or --abort"),
        (["users", "--version", "2/3"], "--version '2/3' becomes part of names"),
        (["users", "--version", "-2"], "--version '-2' becomes part of names"),
        (["users", "--version", "2", "--canary", "5"], "--canary '5' is not a share of the calls"),
        (["users", "--version", "2", "--canary", "100%"], "--canary '100%' is not a share"),
        (["users", "--version", "2", "--replicas", "0"], "--replicas"),
        (["users", "--version", "2", "--code", "nowhere"], "nowhere"),
        (["users", "--version", "2", "--driver", "docker"], "--driver"),
        (["users", "--version", "2", "--bake", "-1"], "--bake"),
    ],
)
def test_a_line_that_is_not_understood_is_refused(
    line: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["replace", *line]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / ".mesh").exists()


def test_what_one_driver_began_no_other_goes_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    JournalFile(tmp_path / ".mesh", "users").write(JOURNAL)
    assert run_command(["replace", "users", "--version", "2", "--driver", "local"]) == 2
    assert "under way with the driver systemd" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.1%", 0.001), ("99%", 0.99)])
def test_a_share_is_read(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)
    assert parse_share(None) is None
    with pytest.raises(Misused):
        parse_share("0%")


def test_a_journal_is_kept_whole_and_removed(tmp_path: Path) -> None:
    file = JournalFile(tmp_path, "users")
    assert file.read() is None
    file.clear()
    file.write(JOURNAL)
    assert JournalFile(tmp_path, "users").read() == JOURNAL
    assert [path.name for path in (tmp_path / "replace").iterdir()] == ["users.json"]
    file.clear()
    assert file.read() is None


def test_a_journal_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    file = JournalFile(tmp_path, "users")
    file.write(JOURNAL)
    file.path.write_text('{"service": "users"')
    with pytest.raises(Failed, match=r"users\.json cannot be read"):
        file.read()


def test_a_journal_that_cannot_be_written_leaves_the_last_one(tmp_path: Path) -> None:
    file = JournalFile(tmp_path, "users")
    file.write(JOURNAL)
    (tmp_path / "replace" / "users.draft").mkdir()  # where the next one is to be drafted
    with pytest.raises(NotKept, match=r"users\.json cannot be written \(Is a directory\)"):
        file.write(replace(JOURNAL, phase="undo"))
    assert file.read() == JOURNAL


def test_a_folder_that_cannot_be_flushed_keeps_a_journal_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def flush_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):  # as some file systems have it
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", flush_files)
    file = JournalFile(tmp_path, "users")
    file.write(JOURNAL)
    assert file.read() == JOURNAL
    file.clear()
    assert file.read() is None


def test_a_journal_that_cannot_be_removed_is_told_so_too(tmp_path: Path) -> None:
    file = JournalFile(tmp_path, "users")
    file.path.mkdir(parents=True)
    with pytest.raises(NotKept, match=r"users\.json cannot be removed"):
        file.clear()


def test_a_full_disk_stops_it_before_anything_is_done() -> None:
    world = World(1, old=2)
    world.disk_full = True
    ended = world.run(wanted()).finish()
    assert ended.outcome.value == "refused"
    assert "the journal cannot be written (No space left on device)" in ended.why
    assert world.living() == ["users-1", "users-2"]


def test_a_full_disk_half_way_leaves_it_to_the_next_run() -> None:
    world = World(1, old=2)
    run = world.run(wanted())
    while "bake" not in run.phases:
        world.step()
    world.disk_full = True
    ended = run.finish()
    assert ended.outcome.value == "unfinished"
    assert world.taking() == 4
    world.disk_full = False
    assert world.run(wanted()).finish().outcome.value == "replaced"
    assert world.living() == ["users-2.k3f-1", "users-2.k3f-2"]


def test_every_contract_of_our_own_declares_a_smoke_call() -> None:
    for contract in (Users, Products, Greetings):
        assert len(smoke_calls(contract)) == 1


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b'{"type":"not-found","title":"x"}', ""),
        (404, b'{"type":"no-such-path","title":"x"}', "its 404 is not 'not-found'"),
        (404, b"<html>", "its answer is not what the contract says"),
        (500, b'{"type":"internal"}', "answered 500 instead of 404"),
        (200, b"{}", "answered 200 instead of 404"),
    ],
)
def test_a_smoke_call_that_expects_an_error_takes_no_other(
    status: int, body: bytes, why: str
) -> None:
    found = misfit(Users.fetch, Reply(status, [], body))
    assert found.startswith(why) if why else found == ""


def test_a_good_answer_to_a_smoke_call_is_decoded() -> None:
    assert misfit(Products.search, Reply(200, [], b'{"products":[],"next":null}')) == ""
    assert "not what the contract says" in misfit(Products.search, Reply(200, [], b'{"items":[]}'))


def test_events_are_lines_for_people() -> None:
    moved = ReplicaEvent(
        at_s=1.0, replica="users-1", role="old", version="1", address="h:1", state="draining"
    )
    assert line_of(moved) == "users-1 (old) is draining at h:1"
    assert line_of(StepEvent(at_s=1.0, step="make", replica="users-1")) == ""
    failed = StepEvent(at_s=1.0, step="make", replica="users-1", why="no room")
    assert line_of(failed) == "make users-1: no room"


def test_a_reader_who_has_enough_ends_the_showing_and_nothing_else() -> None:
    shown: list[Event] = []

    def show(event: Event) -> None:
        if shown:
            raise BrokenPipeError
        shown.append(event)

    showing = Showing(show, io.StringIO())
    event = StepEvent(at_s=1.0, step="make", replica="users-1")
    for _ in range(3):
        showing(event)
    assert shown == [event]
