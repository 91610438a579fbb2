"""What is kept on disk: read again, shared, and never in anybody's way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.discovery import Memory
from balancer.values import Endpoint
from tests.logs import said_by

URL = "redis://somewhere:6379/0"
DAY_S = 86_400.0


class Wall:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What was logged."""
    with said_by("balancer.discovery.view") as said:
        yield said


def endpoint(number: int = 1, service: str = "users") -> Endpoint:
    return Endpoint(
        service=service, replica=f"{service}-{number}", address=f"10.0.0.{number}:80", zone="a"
    )


def test_what_was_written_is_read_by_the_next_process(tmp_path: Path, wall: Wall) -> None:
    folder = tmp_path / "deep" / "known"
    Memory(folder, URL, wall).write("users", [(endpoint(1), 2.0), (endpoint(2), 60.0)])
    wall.now += 10.0
    assert Memory(folder, URL, wall).read("users") == ([endpoint(1), endpoint(2)], 12.0)
    (file,) = folder.iterdir()
    assert file.name.startswith("users."), "no draft is left"


def test_another_registry_and_another_service_know_nothing_of_it(
    tmp_path: Path, wall: Wall
) -> None:
    Memory(tmp_path, URL, wall).write("users", [(endpoint(), 0.0)])
    assert Memory(tmp_path, URL + "1", wall).read("users") == ([], 0.0)
    assert Memory(tmp_path, URL, wall).read("user") == ([], 0.0)
    Memory(tmp_path, URL, wall).write("products", [(endpoint(1, "products"), 5.0)])
    found, age_s = Memory(tmp_path, URL, wall).read_all()
    assert (found, age_s) == ([endpoint(1, "products"), endpoint()], 0.0)
    assert Memory(tmp_path, URL + "1", wall).read_all() == ([], 0.0)


def test_what_is_older_than_a_day_is_not_used(tmp_path: Path, wall: Wall) -> None:
    memory = Memory(tmp_path, URL, wall)
    memory.write("users", [(endpoint(1), 0.0), (endpoint(2), 7200.0)])
    wall.now += DAY_S - 3600.0
    assert memory.read("users") == ([endpoint(1)], DAY_S - 3600.0)
    wall.now += 3600.0
    assert memory.read("users") == ([], 0.0)


def test_a_clock_that_was_set_back_makes_no_negative_age(tmp_path: Path, wall: Wall) -> None:
    memory = Memory(tmp_path, URL, wall)
    memory.write("users", [(endpoint(), 0.0)])
    wall.now -= 500.0
    assert memory.read("users") == ([endpoint()], 0.0)


def test_a_service_that_has_nobody_has_no_file(tmp_path: Path, wall: Wall) -> None:
    memory = Memory(tmp_path, URL, wall)
    memory.write("users", [])
    assert list(tmp_path.iterdir()) == []
    memory.write("users", [(endpoint(), 0.0)])
    memory.write("users", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../users", "", "a/b", ".hidden", "x" * 101, "us\0ers", "ü"])
def test_a_name_out_of_a_url_leads_nowhere(tmp_path: Path, wall: Wall, name: str) -> None:
    folder = tmp_path / "known"
    memory = Memory(folder, URL, wall)
    memory.write(name, [(endpoint(), 0.0)])
    assert memory.read(name) == ([], 0.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"service":"users"}',
        "\xff\xfe",
        "[" * 100_000,
        '{"service":"products","registry":"redis://somewhere:6379/0","entries":[]}',
        '{"service":"users","registry":"redis://elsewhere","entries":[]}',
        '{"service":"users","registry":"redis://somewhere:6379/0","entries":[{"told":1,"endpoint":{"service":"products","replica":"p","address":"a:1"}}]}',
        '{"service":"users","registry":"redis://somewhere:6379/0","entries":[{"told":1,"endpoint":{"service":"users","replica":"p","address":"a:1","weight":0}}]}',
    ],
)
def test_a_file_that_is_none_is_ignored_and_told_once(
    tmp_path: Path, wall: Wall, told: list[str], text: str
) -> None:
    memory = Memory(tmp_path, URL, wall)
    memory.write("users", [(endpoint(), 0.0)])
    (file,) = tmp_path.iterdir()
    file.write_text(text, "latin-1")
    for _ in range(3):
        assert memory.read("users") == ([], 0.0)
    (line,) = told
    assert str(file) in line
    memory.write("users", [(endpoint(), 0.0)])
    assert memory.read("users") == ([endpoint()], 0.0), "it is mended by the next word"


def test_a_disk_that_cannot_be_written_is_told_once(
    tmp_path: Path, wall: Wall, told: list[str]
) -> None:
    (tmp_path / "known").write_text("no folder")
    memory = Memory(tmp_path / "known", URL, wall)
    for _ in range(3):
        memory.write("users", [(endpoint(), 0.0)])
        assert memory.read("users") == ([], 0.0)
    assert sum("cannot be kept" in line for line in told) == 1
    assert memory.read_all() == ([], 0.0)


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, wall: Wall, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(tmp_path, URL, wall)
    memory.write("users", [(endpoint(1), 0.0)])

    def full(_path: Path, data: bytes) -> int:
        with Path("/dev/full").open("wb", buffering=0) as file:
            return file.write(data)

    monkeypatch.setattr(Path, "write_bytes", full)
    memory.write("users", [(endpoint(2), 0.0)])
    assert memory.read("users") == ([endpoint(1)], 0.0)
    assert any("No space left" in line for line in told)
    assert len(list(tmp_path.iterdir())) == 1


def test_many_who_write_at_once_leave_one_whole_file(tmp_path: Path, wall: Wall) -> None:
    full = {str(size): [(endpoint(n), 0.0) for n in range(1, size)] for size in (3, 40, 200)}
    stop = threading.Event()
    seen: list[int] = []

    def write(entries: list[tuple[Endpoint, float]]) -> None:
        memory = Memory(tmp_path, URL, wall)
        for _ in range(40):
            memory.write("users", entries)

    def read() -> None:
        memory = Memory(tmp_path, URL, wall)
        while not stop.is_set():
            seen.append(len(memory.read("users")[0]))

    writers = [threading.Thread(target=write, args=(entries,)) for entries in full.values()]
    reader = threading.Thread(target=read)
    Memory(tmp_path, URL, wall).write("users", full["3"])
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert set(seen) <= {2, 39, 199}
    assert len(list(tmp_path.iterdir())) == 1


def test_the_file_says_what_it_is_of(tmp_path: Path, wall: Wall) -> None:
    Memory(tmp_path, URL, wall).write("users", [(endpoint(), 1.5)])
    (file,) = tmp_path.iterdir()
    document = json.loads(file.read_bytes())
    assert document["registry"] == URL
    assert document["entries"][0]["told"] == wall.now - 1.5
    assert file.stat().st_size < 1000
