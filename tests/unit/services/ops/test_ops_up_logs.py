"""Logs of replicas that are gone: the latest of each service stay."""

from __future__ import annotations

import os
from pathlib import Path

from services.ops.up.logs import KEPT, Logs
from services.ops.up.oldlogs import Left, surplus

DAY_S = 86_400.0


def left(*names: str) -> list[Left]:
    """Logs, each written to a day after the one before."""
    return [Left(name, at * DAY_S) for at, name in enumerate(names)]


def test_the_newest_of_each_service_stay() -> None:
    logs = left("users-1", "products-1", "users-2.a-1", "users-3.b-1")
    assert surplus(logs, ["users", "products"], 2) == ["users-1"]
    assert surplus(logs, ["users", "products"], 1) == ["users-2.a-1", "users-1"]
    assert surplus(logs, ["users", "products"], 3) == []


def test_a_service_whose_name_begins_like_another_s_is_counted_apart() -> None:
    logs = left("users-eu-1", "users-1", "users-2", "users-eu-2")
    assert surplus(logs, ["users", "users-eu"], 1) == ["users-1", "users-eu-1"]
    # Where the longer one is not known, its logs look like the shorter one's, and are bounded too.
    assert surplus(logs, ["users"], 1) == ["users-2", "users-1", "users-eu-1"]


def test_the_logs_of_services_that_are_gone_are_bounded_too() -> None:
    logs = left("old-1", "older-1", "users-1")
    assert surplus(logs, ["users"], 1) == ["old-1"]


def test_what_ended_together_stays_together() -> None:
    # A replacement of 25 that fails: the first that died is the one to read.
    together = [Left(f"users-3.b-{n}", 7 * DAY_S + 60.0 * n) for n in range(1, 26)]
    earlier = left("users-1", "users-2", "users-2.a-1")
    assert surplus([*together, *earlier], ["users"], 20) == ["users-2.a-1", "users-2", "users-1"]
    assert surplus([*together, *left("products-1")], ["users", "products"], 20) == []
    next_one = Left("users-4.c-1", 8 * DAY_S)
    assert surplus([*together, next_one], ["users"], 20) == [
        f"users-3.b-{n}" for n in range(6, 0, -1)
    ]


def test_a_loop_of_replacements_is_bounded_within_the_hour_too() -> None:
    many = [Left(f"users-{n}.k-1", float(n)) for n in range(103)]
    assert surplus(many, ["users"], 20) == ["users-2.k-1", "users-1.k-1", "users-0.k-1"]


def write(folder: Path, name: str, at: float) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    os.utime(folder / name, (at, at))


def test_logs_of_replicas_that_are_gone_do_not_pile_up(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "logs", 1000, ["users"])
    logs.limit()  # there is no folder yet
    names = [f"users-{number}.k-1" for number in range(KEPT + 3)]
    for at, name in enumerate(names):
        os.close(logs.begin(name).open())
        write(logs.folder, f"{name}.log", at * DAY_S)
        write(logs.folder, f"{name}.log.1", at * DAY_S)
    logs.limit()
    assert len(list(logs.folder.iterdir())) == 2 * len(names), "all of them run"
    for name in names:
        logs.forget(name)
    logs.limit()
    kept = {f"{name}.log{end}" for name in names[3:] for end in ("", ".1")}
    assert {path.name for path in logs.folder.iterdir()} == kept


def test_those_of_an_earlier_run_count_and_those_that_run_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    for at in range(KEPT + 2):
        write(folder, f"users-{at}.k-1.log", (10 + at) * DAY_S)
    # An older part of a log alone, and what is no log at all.
    write(folder, "users-lost.log.1", 1.0)
    write(folder, "notes.txt", 0.0)
    logs = Logs(folder, 1000, ["users"])
    logs.begin("users-0.k-1")
    logs.limit()
    there = {path.name for path in folder.iterdir()}
    assert "users-0.k-1.log" in there, "the oldest, and its replica runs"
    assert "notes.txt" in there
    assert "users-1.k-1.log" not in there
    assert "users-lost.log.1" not in there
    assert len(there) == KEPT + 2


def full(folder: Path, *replicas: str) -> Logs:
    """Logs that have grown too large, on a disk that has no room to move them aside."""
    logs = Logs(folder, 1000, ["users"])
    for replica in replicas:
        os.close(logs.begin(replica).open())
        (folder / f"{replica}.log").write_text("x" * 2000)
        (folder / f"{replica}.log.1").symlink_to("/dev/full")
    return logs


def test_a_full_disk_keeps_no_log_from_being_removed_nor_from_being_moved_aside(
    tmp_path: Path,
) -> None:
    logs = full(tmp_path, "users-1", "users-2")
    os.close(logs.begin("users-3").open())
    (tmp_path / "users-3.log").write_text("x" * 2000)
    for at in range(KEPT + 10):
        write(tmp_path, f"users-{at}.k-1.log", at * DAY_S)
    first = logs.limit()
    assert len(list(tmp_path.glob("users-*.k-1.log"))) == KEPT
    assert (tmp_path / "users-3.log").stat().st_size == 0
    assert (tmp_path / "users-3.log.1").stat().st_size == 2000
    assert first == [
        f"{tmp_path}/users-{number}.log cannot be kept from growing: No space left on device"
        for number in (1, 2)
    ]


def test_a_trouble_is_told_once_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    logs = full(tmp_path, "users-1")
    assert len(logs.limit()) == 1
    assert logs.limit() == []
    (tmp_path / "users-1.log.1").unlink()
    assert logs.limit() == []
    assert (tmp_path / "users-1.log.1").stat().st_size == 2000
    (tmp_path / "users-1.log").write_text("x" * 2000)
    (tmp_path / "users-1.log.1").unlink()
    (tmp_path / "users-1.log.1").symlink_to("/dev/full")
    assert len(logs.limit()) == 1


def test_a_folder_that_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("a file in its place")
    logs = Logs(folder, 1000, ["users"])
    logs.begin("users-1")
    assert logs.limit() == [
        f"{folder}/users-1.log cannot be kept from growing: Not a directory",
        f"old logs in {folder} cannot be removed: Not a directory",
    ]
    assert logs.limit() == []
