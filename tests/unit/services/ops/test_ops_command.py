"""Faults as people see them: one line, what to do, and an exit status."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from balancer import ConnectFailed, DeadlineExceeded, Rejected, ServiceFailed
from services.ops.command import run_command
from services.ops.faults import call_failure, one_line
from services.ops.reports import ReplicaReport
from services.ops.status import age


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("cal", 2, "there is no command 'cal'; did you mean 'call'?"),
        ("call", 2, "which service? known are: greetings, products, users"),
        ("call users", 2, "which operation of users?"),
        ("call users fecth", 2, "did you mean 'fetch'"),
        ("call products fetch sku=nosuch", 2, "sku cannot be 'nosuch'"),
        ("call products search limit=ten", 2, "a whole number from 1 to 100"),
        ("call users fetch id=u_mzxw6ytboi2dsmjq --key k", 2, "takes no --key"),
        ("call users fetch id=u_mzxw6ytboi2dsmjq --warm 5", 2, "--warm is for --explain alone"),
        ("call users erase id=u_mzxw6ytboi2dsmjq --explain --warm -1", 2, "--warm"),
        (
            "call users create name=A email=a@b.example site=cardhouse --explain --warm 5",
            2,
            "users.create is not harmless to repeat",
        ),
        (
            "load users fetch id=u_mzxw6ytboi2dsmjq --rate 5 --duration 1 --decisions no/such/d",
            2,
            "no/such/d",
        ),
        ("call users fetch id=u_mzxw6ytboi2dsmjq --deadline 0", 2, "number above 0"),
        ("call users fetch --dedline 3", 2, "'--deadline'"),
        ("load users fetch id=u_mzxw6ytboi2dsmjq --rate 5", 2, "Missing option '--duration'"),
        ("load users fetch id=u_mzxw6ytboi2dsmjq --rate nan --duration 1", 2, "number above 0"),
        ("up nosuch", 2, "there is no service 'nosuch'"),
        ("up --replicas 0", 2, "--replicas"),
        ("status --config nosuch.toml", 1, "nosuch.toml: cannot be read"),
        ("status --config bad.toml", 1, "bad.toml, line 2: unknown key 'agent_dedline_s'"),
        ("call users fetch --config bad.toml", 1, "did you mean 'agent_deadline_s'"),
        ("up --config static.toml", 1, "use a registry that they enter themselves"),
        ("config --check --config scheme.toml", 1, "is not understood"),
    ],
)
def test_a_fault_is_one_line(
    line: str,
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text("[client]\nagent_dedline_s = 3\n")
    Path("static.toml").write_text('[registry]\nurl = "static:users=127.0.0.1:1"\n')
    Path("scheme.toml").write_text('[registry]\nurl = "ldap:users"\n')
    assert run_command(line.split()) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("txmesh: ")
    assert output.err.count("\n") == 1
    assert said in output.err


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("up", "call", "status", "load", "config"):
        assert run_command([name, "--help"]) == 0
        printed = capsys.readouterr().out
        assert "Examples:" in printed
        assert "--config FILE" in " ".join(printed.split())
        assert "--json" in printed


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.startswith("txmesh ")


def test_the_configuration_is_printed_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["config"]) == 0
    assert "[services.users]" in capsys.readouterr().out
    assert run_command(["config", "--json"]) == 0
    document = msgspec.json.decode(capsys.readouterr().out)
    assert document["services"]["users"]["replicas"] == 2
    assert run_command(["config", "--check"]) == 0
    assert capsys.readouterr().out == "the built-in configuration is valid\n"


def test_an_unforeseen_fault_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("services.ops.config.open_config", broken)
    assert run_command(["config"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("txmesh: unexpected KeyError: 'surprise' (at ")
    assert os.linesep not in error.rstrip()


def test_how_a_call_ended() -> None:
    rejected = Rejected(
        "...", status=404, type="not-found", title="Not found", detail="There is no user u_1."
    )
    assert str(call_failure("users.fetch", rejected)) == (
        "users.fetch was rejected: 404 not-found: There is no user u_1."
    )
    failed = ServiceFailed("users.fetch: 500 internal", status=500, service="users")
    assert str(call_failure("users.fetch", failed)) == "users.fetch failed: 500 internal"
    late = DeadlineExceeded("users: the deadline ran out", service="users", attempts=1)
    assert str(call_failure("users.fetch", late)) == "users.fetch failed: the deadline ran out"
    lost = ConnectFailed("no connection to a:1", service="users", attempts=4)
    assert str(call_failure("users.fetch", lost)).endswith("no connection to a:1 (4 attempts)")


def test_a_line_commands_no_terminal() -> None:
    assert one_line("a\n  b\x1b[31m c") == "a b?[31m c"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_ages_are_short(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


def test_a_replica_in_the_status_has_the_fields_that_others_read() -> None:
    assert list(ReplicaReport.__struct_fields__) == [
        "service", "replica", "address", "admin", "pid", "version", "state", "weight", "age_s",
    ]  # fmt: skip
