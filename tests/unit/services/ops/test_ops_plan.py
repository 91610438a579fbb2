"""What `up` decides before it starts anything: the plan, command lines, logs, the lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet.error import ProcessDone, ProcessTerminated

from balancer import Endpoint
from clients.users import FetchUser, Users
from services.kit.settings import ServiceSettings
from services.ops.faults import Failed, Misused
from services.ops.up.hints import lines_to_try, program_name
from services.ops.up.launch import command_line, how_it_ended
from services.ops.up.lock import Lock
from services.ops.up.logfile import LogFile
from services.ops.up.plan import Slot, plan

SERVICES = {
    "users": ServiceSettings(),
    "hello": ServiceSettings(replicas=1),
    "idle": ServiceSettings(replicas=0),
}
USERS = [
    Endpoint(service="hello", replica="hello-1", address="127.0.0.1:1"),
    Endpoint(service="users", replica="users-1", address="127.0.0.1:2"),
]


def names(slots: list[Slot]) -> list[str]:
    return [slot.replica for slot in slots]


def test_everything_runs_as_often_as_its_settings_say() -> None:
    assert names(plan(SERVICES, [], None)) == ["hello-1", "users-1", "users-2"]


def test_chosen_services_run_once_and_as_often_as_asked() -> None:
    slots = plan(SERVICES, ["users", "idle", "users"], 1)
    assert slots == [Slot("users", "users-1"), Slot("idle", "idle-1")]


def test_an_unknown_service_and_none_at_all_are_refused() -> None:
    with pytest.raises(Misused, match="there is no service 'user'; did you mean 'users'"):
        plan(SERVICES, ["user"], None)
    with pytest.raises(Misused, match="no replica at all"):
        plan(SERVICES, ["idle"], None)


def test_the_command_line_of_a_replica() -> None:
    line = command_line(Slot("users", "users-1"), Path("/m.toml"), epoll=True)
    assert line == [
        "-n", "--pidfile=", "--reactor=mesh", "mesh-users", "--config", "/m.toml",
        "--name", "users-1", "--release", "1",
        "--until-eof", "--listen", "tcp:0:interface=127.0.0.1",
    ]  # fmt: skip
    plain = command_line(Slot("users", "users-1"), None, epoll=False)
    assert not {"--reactor=mesh", "--config", "--standby"} & set(plain)
    built = command_line(Slot("users", "users-2.k-1", "2", mark=Path("/m")), None, epoll=False)
    assert built[built.index("--release") + 1] == "2"
    assert built[-2:] == ["--standby", "/m"]


def test_a_version_and_its_code_are_what_the_settings_say() -> None:
    services = {"users": ServiceSettings(replicas=1, version="2", code="releases/2")}
    assert plan(services, [], None) == [Slot("users", "users-1", "2", "releases/2")]


def test_how_a_process_ended_is_said() -> None:
    assert how_it_ended(ProcessDone(0)) == "ended with status 0"
    assert how_it_ended(ProcessTerminated(exitCode=3)) == "ended with status 3"
    assert how_it_ended(ProcessTerminated(signal=9)) == "was killed by signal 9"


def test_a_log_shows_the_last_lines_of_its_latest_writer(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "users-1.log", 1000)
    assert log.tail(3) == []  # a start that failed before there was a file
    for text in ("of the first\n", "a\nb\nc\n"):
        descriptor = log.open()
        os.write(descriptor, text.encode())
        os.close(descriptor)
    assert log.tail(2) == ["b", "c"]
    assert log.tail(12) == ["a", "b", "c"]


def test_a_log_that_has_grown_is_moved_aside(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "users-1.log", 10)
    log.limit()
    descriptor = log.open()
    os.write(descriptor, b"12345678901\n")
    log.limit()
    os.write(descriptor, b"new\n")
    os.close(descriptor)
    log.limit()
    assert log.path.read_text() == "new\n"
    assert (tmp_path / "users-1.log.1").read_text() == "12345678901\n"
    assert log.tail(5) == ["new"]


def test_a_folder_is_locked_by_one(tmp_path: Path) -> None:
    path = tmp_path / ".mesh" / "up.lock"
    first = Lock(path)
    with pytest.raises(Failed, match=f"already running in .*process {os.getpid()}"):
        Lock(path)
    first.release()
    Lock(path).release()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="cannot be written"):
        Lock(tmp_path / "file" / "up.lock")


def test_lines_to_try_work_as_they_stand() -> None:
    sample = Users.fetch, FetchUser(id="u_mzxw6ytboi2dsmjq")
    lines = lines_to_try(USERS, sample, "my mesh.toml")
    assert lines[0] == "curl http://127.0.0.1:2/v1/users/u_mzxw6ytboi2dsmjq"
    asked = "users fetch id=u_mzxw6ytboi2dsmjq --config 'my mesh.toml'"
    assert lines[1].endswith(f" call {asked}")
    assert lines[2].endswith(f" load {asked} --rate 200 --duration 10")
    assert lines_to_try(USERS, None, None)[0] == "curl http://127.0.0.1:1/openapi.json"


def test_a_program_off_the_path_is_named_as_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "txmesh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert program_name(str(program)) == str(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_name(str(program)) == "txmesh"
