"""Logs of replicas that are gone: the latest of each service stay."""

from __future__ import annotations

import os
from pathlib import Path

from services.ops.up.logs import KEPT, Logs
from services.ops.up.oldlogs import Left, surplus


def left(*names: str) -> list[Left]:
    """Logs, each written to a second after the one before."""
    return [Left(name, float(at)) for at, name in enumerate(names)]


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
        write(logs.folder, f"{name}.log", at)
        write(logs.folder, f"{name}.log.1", at)
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
        write(folder, f"users-{at}.k-1.log", 10.0 + at)
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
