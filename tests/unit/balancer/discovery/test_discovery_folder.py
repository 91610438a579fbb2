"""Leases in a folder: real files, real locks and real processes; only the looking is virtual."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock

from balancer import Endpoint, RegistryError
from balancer.discovery import FolderRegistry
from tests.deferreds import now
from tests.descriptors import descriptors_in
from tests.logs import said_by

# A change is to be seen within this time (seconds).
SEEN_S = 0.2

CHILD = """
import sys
from pathlib import Path
from twisted.internet.task import Clock
from balancer import Endpoint
from balancer.discovery import FolderRegistry
folder, replica, address = sys.argv[1:]
registry = FolderRegistry(Path(folder), Clock())
import os
lease = registry.announce(
    Endpoint(service="users", replica=replica, address=address, pid=os.getpid())
)
print("held", flush=True)
sys.stdin.read()
lease.withdraw()
print("withdrawn", flush=True)
sys.stdin.read()
"""


class Watcher:
    """A registry that is looked at, and everything that it told."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.registry = FolderRegistry(folder, clock)
        self.told: list[list[str]] = []

    def watch(self, service: str = "users") -> Callable[[], None]:
        def listen(endpoints: Sequence[Endpoint]) -> None:
            self.told.append([endpoint.replica for endpoint in endpoints])

        return self.registry.watch(service, listen)

    def look(self, seconds: float = SEEN_S) -> list[str]:
        """Let time pass, and give what was told last."""
        for _ in range(round(seconds / 0.01)):
            self.clock.advance(0.01)
        return self.told[-1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "leases"


@pytest.fixture
def watcher(folder: Path, clock: Clock) -> Iterator[Watcher]:
    watcher = Watcher(folder, clock)
    yield watcher
    watcher.registry.close()


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    with said_by("balancer.discovery") as said:
        yield said


@pytest.fixture
def spawn(folder: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    children = []

    def start(replica: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), replica, "127.0.0.1:9"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            pipe.close()


def endpoint(replica: str = "users-1", **more: object) -> Endpoint:
    return Endpoint(service="users", replica=replica, address="127.0.0.1:8001", **more)  # type: ignore[arg-type]


def entry(folder: Path, name: str, content: bytes) -> Path:
    """A file as no replica writes it: nobody holds its lock."""
    path = folder / "users" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_folder_that_does_not_exist_has_nobody(watcher: Watcher) -> None:
    watcher.watch()
    assert watcher.told == [[]]
    assert now(watcher.registry.endpoints()) == []


def test_what_is_announced_is_seen_and_what_is_withdrawn_is_gone(
    watcher: Watcher, folder: Path
) -> None:
    watcher.watch()
    theirs = FolderRegistry(folder, Clock())
    lease = theirs.announce(endpoint(version="7", pid=5))
    assert watcher.look() == ["users-1"]
    assert now(watcher.registry.endpoints()) == [endpoint(version="7", pid=5)]
    lease.withdraw()
    assert not list(folder.rglob("*.json")), "not left for readers to clear away"
    assert watcher.look() == []
    lease.withdraw()
    assert watcher.told == [[], ["users-1"], []], "each change once"


def test_a_killed_process_is_gone_at_the_next_look(
    watcher: Watcher, spawn: Callable[[str], subprocess.Popen[str]], folder: Path
) -> None:
    watcher.watch()
    one, two = spawn("users-1"), spawn("users-2")
    assert watcher.look() == ["users-1", "users-2"]
    one.kill()
    one.wait()
    assert watcher.look(0.11) == ["users-2"]
    (left,) = folder.rglob("*.json")
    assert left.name.startswith("users-2.")
    # The name is free again, and a living process's is not.
    mine = FolderRegistry(folder, Clock())
    mine.announce(endpoint("users-1"))
    with pytest.raises(
        RegistryError, match=r"living replica is already announced as users-2.*--name"
    ):
        mine.announce(endpoint("users-2"))
    assert two.stdin is not None
    two.stdin.close()
    two.wait()
    assert watcher.look() == ["users-1"]


def test_a_living_name_is_refused_in_the_same_process_too(folder: Path) -> None:
    registry = FolderRegistry(folder, Clock())
    lease = registry.announce(endpoint())
    with pytest.raises(RegistryError, match="living"):
        registry.announce(endpoint())
    lease.withdraw()
    registry.announce(endpoint())


def test_a_name_that_begins_like_another_is_another(folder: Path) -> None:
    registry = FolderRegistry(folder, Clock())
    registry.announce(endpoint("users-1.2"))
    registry.announce(endpoint("users-1"))
    assert {each.replica for each in now(registry.endpoints())} == {"users-1.2", "users-1"}


def test_an_announcement_under_a_dead_ones_name_takes_its_place(
    watcher: Watcher, folder: Path
) -> None:
    entry(folder, "users-1.4194304.json", msgspec.json.encode(endpoint(pid=4194304)))
    FolderRegistry(folder, Clock()).announce(endpoint(pid=1))
    watcher.watch()
    assert watcher.told == [["users-1"]]
    assert len(list(folder.rglob("*.json"))) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "x" * 101, "ü", "a\n"])
def test_a_name_that_is_none_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(RegistryError, match="replica name"):
        FolderRegistry(folder, Clock()).announce(endpoint(name))
    bad = Endpoint(service=name, replica="x", address="127.0.0.1:1")
    with pytest.raises(RegistryError, match="name"):
        FolderRegistry(folder, Clock()).announce(bad)


@pytest.mark.parametrize("service", ["..", ".", "", "a/../..", "users/../users"])
def test_a_service_name_is_never_a_path(folder: Path, watcher: Watcher, service: str) -> None:
    # The agent takes names out of URLs; a look clears dead entries away, so it must stay inside.
    FolderRegistry(folder, Clock()).announce(endpoint())
    outside = folder.parent / "precious.json"
    outside.write_bytes(msgspec.json.encode(endpoint()))
    watcher.watch(service)
    assert watcher.look() == []
    assert outside.exists()


def test_corrupt_entries_are_ignored_with_one_warning_each(
    watcher: Watcher, folder: Path, warnings: list[str]
) -> None:
    FolderRegistry(folder, Clock()).announce(endpoint())
    entry(folder, "half.1.json", b'{"service": "users", "repl')
    entry(folder, "empty.2.json", b"")
    entry(folder, "wrong.3.json", b'{"service": "users", "replica": 3}')
    entry(folder, "binary.4.json", b"\xff\xfe\x00")
    deep = b"[" * 30_000 + b"]" * 30_000
    entry(folder, "deep.6.json", msgspec.json.encode(endpoint())[:-1] + b',"x":' + deep + b"}")
    weightless = b'{"service": "users", "replica": "users-5", "address": "x:1", "weight": 0}'
    entry(folder, "weightless.5.json", weightless)
    entry(folder, "README", b"not ours")
    entry(folder, ".users-9.5.json", msgspec.json.encode(endpoint("users-9")))
    (folder / "users" / "folder.json").mkdir()
    watcher.watch()
    watcher.look(1.0)
    assert watcher.told == [["users-1"]]
    for name in ("half", "empty", "wrong", "binary", "deep", "weightless"):
        assert len([text for text in warnings if f"{name}." in text]) == 1, warnings
    assert (folder / "users" / "half.1.json").exists(), "not ours to clear away"


def test_an_entry_of_another_service_is_ignored(
    watcher: Watcher, folder: Path, warnings: list[str]
) -> None:
    path = entry(
        folder,
        "products-1.1.json",
        msgspec.json.encode(Endpoint(service="products", replica="products-1", address="x:1")),
    )
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        watcher.watch()
        watcher.look(1.0)
    assert watcher.told == [[]]
    assert len(warnings) == 1


def test_an_entry_that_is_replaced_under_its_name_is_read_anew(
    watcher: Watcher, folder: Path
) -> None:
    # In containers every process has the number 1, so that names of files come again.
    registry = FolderRegistry(folder, Clock())
    lease = registry.announce(endpoint(version="1"))
    watcher.watch()
    lease.withdraw()
    registry.announce(endpoint(version="2"))
    watcher.look()
    assert [each.version for each in now(watcher.registry.endpoints())] == ["2"]
    assert watcher.told == [["users-1"], ["users-1"]]


def test_an_unreadable_folder_keeps_what_was_known_and_says_so_once(
    watcher: Watcher, folder: Path, warnings: list[str]
) -> None:
    FolderRegistry(folder, Clock()).announce(endpoint())
    watcher.watch()
    users = folder / "users"
    away = users.rename(folder / "away")
    users.write_text("a file where a folder should be")
    watcher.look(2.0)
    assert watcher.told == [["users-1"]]
    assert watcher.registry.age_s() >= 1.9, "an old view is not called a new one"
    assert len(warnings) == 1, warnings
    users.unlink()
    away.rename(users)
    watcher.look()
    assert watcher.registry.age_s() <= 0.11
    assert watcher.told == [["users-1"]]
    users.rename(away)
    users.write_text("again")
    watcher.look(2.0)
    assert len(warnings) == 2, "once each time"


def test_a_folder_that_vanishes_keeps_those_who_live(watcher: Watcher, folder: Path) -> None:
    import shutil

    registry = FolderRegistry(folder, Clock())
    leases = [registry.announce(endpoint(name)) for name in ("users-1", "users-2")]
    watcher.watch()
    assert watcher.told == [["users-1", "users-2"]]
    shutil.rmtree(folder)
    assert watcher.look() == ["users-1", "users-2"], "their locks are held: they live"
    leases[0].withdraw()
    assert watcher.look() == ["users-2"]
    leases[1].withdraw()
    assert watcher.look() == []


def test_looking_goes_on_at_one_pace_however_often_watching_begins(
    watcher: Watcher, clock: Clock
) -> None:
    for _ in range(10):
        watcher.watch()()
    watcher.watch()
    assert len(clock.getDelayedCalls()) == 1
    watcher.registry.close()
    assert not clock.getDelayedCalls()


def test_each_watcher_is_told_until_it_ends(watcher: Watcher, folder: Path, clock: Clock) -> None:
    ends = [watcher.watch(), watcher.watch()]
    assert watcher.told == [[], []]
    lease = FolderRegistry(folder, Clock()).announce(endpoint())
    watcher.look()
    assert watcher.told == [[], [], ["users-1"], ["users-1"]]
    ends[0]()
    ends[0]()
    lease.withdraw()
    watcher.look()
    assert watcher.told[4:] == [[]]
    ends[1]()
    watcher.look()
    assert len(watcher.told) == 5
    assert not clock.getDelayedCalls()


def test_a_listener_that_fails_costs_the_others_nothing(watcher: Watcher, folder: Path) -> None:
    def fail(endpoints: Sequence[Endpoint]) -> None:
        if endpoints:
            raise ZeroDivisionError

    watcher.registry.watch("users", fail)
    watcher.watch()
    FolderRegistry(folder, Clock()).announce(endpoint())
    assert watcher.look() == ["users-1"]


def test_no_descriptor_is_left_behind(watcher: Watcher, folder: Path) -> None:
    def count() -> int:
        return descriptors_in(folder)

    before = count()
    registry = FolderRegistry(folder, Clock())
    leases = [registry.announce(endpoint(f"users-{number}")) for number in range(5)]
    end = watcher.watch()
    watcher.look()
    now(watcher.registry.endpoints())
    assert count() == before + 10
    end()
    with pytest.raises(RegistryError):
        registry.announce(endpoint("users-1"))
    for lease in leases:
        lease.withdraw()
    now(watcher.registry.endpoints())
    assert count() == before
    watcher.registry.close()
    assert count() == before


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(
        RegistryError, match=r"cannot be written \(.+\); give another with \[registry\]"
    ):
        FolderRegistry(blocked, Clock()).announce(endpoint())


def test_ending_a_watch_twice_ends_nobody_elses(folder: Path) -> None:
    clock = Clock()
    registry = FolderRegistry(folder, clock)
    heard: list[int] = []
    end = registry.watch("users", lambda endpoints: None)
    end()
    registry.watch("users", lambda endpoints: heard.append(len(endpoints)))
    end()
    lease = registry.announce(endpoint())
    clock.advance(0.2)
    assert heard == [0, 1]
    lease.withdraw()
    registry.close()


def test_a_living_replica_whose_entry_was_deleted_enters_itself_again(
    watcher: Watcher, folder: Path
) -> None:
    watcher.watch()
    clock = Clock()
    lease = FolderRegistry(folder, clock).announce(endpoint("users-1"))
    assert watcher.look() == ["users-1"]
    shutil.rmtree(folder)
    assert watcher.look() == ["users-1"], "its lock is still held"
    clock.advance(1.0)
    assert watcher.look() == ["users-1"]
    assert len(list(folder.rglob("*.json"))) == 1
    lease.withdraw()
    assert watcher.look() == []
    assert clock.getDelayedCalls() == []


def test_what_is_no_file_is_passed_over(watcher: Watcher, folder: Path) -> None:
    (folder / "users").mkdir(parents=True)
    os.mkfifo(folder / "users" / "users-1.1.json")
    watcher.watch()
    assert watcher.look() == []
    FolderRegistry(folder, Clock()).announce(endpoint("users-1")).withdraw()


def test_a_change_that_cannot_be_written_now_is_written_when_it_can(
    watcher: Watcher, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say: a replica that takes calls and is not known to would wait for ever."""
    standby = replace(endpoint(), standby=True)
    lease = FolderRegistry(folder, clock).announce(standby)
    standing: list[bool] = []
    watcher.registry.watch("users", lambda told: standing.append(told[0].standby))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, said_by("balancer.discovery") as said:
        patched.setattr(os, "write", full)
        lease.change(endpoint())
        clock.pump([0.1] * 50)
    [words] = said
    assert "cannot be written (No space left on device)" in words
    assert "what it tells of users-1 is out of date until it can be" in words
    assert standing == [True]
    clock.pump([0.1] * 12)
    assert standing == [True, False]
    assert len(list((folder / "users").iterdir())) == 1
    lease.withdraw()
    assert list((folder / "users").iterdir()) == []
