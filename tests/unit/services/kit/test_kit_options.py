"""A replica's command line: what is refused, and what is announced."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.python.usage import UsageError

from services.kit.listening import (
    Passed,
    Place,
    address_of,
    begin_listening,
    bind,
    every_interface,
    parse_listen,
)
from services.kit.options import Options, announced
from services.kit.workers import WorkersSettings


def parse(*arguments: str) -> Options:
    options: Any = Options("services.users")
    options.parseOptions(list(arguments))
    parsed: Options = options
    return parsed


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("tcp:8001", ("127.0.0.1", 8001)),
        ("tcp:0:interface=10.0.0.7", ("10.0.0.7", 0)),
        ("tcp:65535:interface=[fd00::7]", ("fd00::7", 65535)),
    ],
)
def test_where_to_listen(text: str, read: tuple[str, int]) -> None:
    assert parse_listen(text) == read


@pytest.mark.parametrize(
    "text", ["", "8001", "tcp:", "tcp:65536", "tcp:-1", "tcp:٨٠", "tcp:1:interface=", "udp:1"]
)
def test_what_is_no_place_to_listen(text: str) -> None:
    with pytest.raises(UsageError, match="is not tcp:PORT"):
        parse_listen(text)


@pytest.mark.parametrize("option", ["listen", "admin"])
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]"])
def test_every_interface_needs_a_host_to_announce(option: str, host: str) -> None:
    where = f"--{option}=tcp:0:interface={host}"
    with pytest.raises(UsageError, match=f"--{option} on every interface needs --advertise"):
        parse(where)
    assert every_interface(parse(where, "--advertise=mesh-7")[option][0])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (None, "127.0.0.1:80"),
        ("users-1.mesh", "users-1.mesh:80"),
        ("10.0.0.7", "10.0.0.7:80"),
        ("fd00::7", "[fd00::7]:80"),
        ("[fd00::7]", "[fd00::7]:80"),
    ],
)
def test_what_is_announced(host: str | None, address: str) -> None:
    options = parse(*([f"--advertise={host}"] if host else []))
    assert announced("127.0.0.1:80", options["advertise"]) == address


@pytest.mark.parametrize("host", ["10.0.0.7:80", "0.0.0.0", "::", "a b", "http://a"])
def test_what_callers_cannot_reach_is_not_announced(host: str) -> None:
    with pytest.raises(UsageError, match="--advertise"):
        parse(f"--advertise={host}")


def test_sockets_of_systemd() -> None:
    assert parse_listen("systemd:0") == Passed(0)
    options = parse("--listen=systemd:0", "--admin=systemd:1")
    assert (options["listen"], options["admin"]) == (Passed(0), Passed(1))
    with pytest.raises(UsageError, match="need a socket each"):
        parse("--listen=systemd:0", "--admin=systemd:0")


@pytest.mark.parametrize("text", ["0", "65", "-1", "two", "", "1.5", "²"])
def test_a_number_of_workers_out_of_range(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number from 1 to 64; one a core is enough"):
        parse(f"--workers={text}")


def test_workers_and_port_0_go_together() -> None:
    options = parse("--workers=2", "--listen=tcp:0")
    assert options["workers"] == 2
    assert options.arguments == ["--workers=2", "--listen=tcp:0"]


def test_what_only_a_master_says_is_refused_from_others() -> None:
    assert parse("--worker=3:1")["worker"] == (3, 1)
    with pytest.raises(UsageError, match="what a replica with --workers adds"):
        parse("--worker=3")


def test_a_log_file_is_found_from_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    options = parse("--log-file=a.log")
    monkeypatch.chdir("/")
    assert options["log-file"] == tmp_path / "a.log"


def test_a_configuration_that_is_read_again_and_is_bad_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "mesh.toml"
    config.write_text("[workers]\nhang_s = 3.0\n")
    options = parse("--config", str(config))
    config.write_text("[workers]\nhang_s = 0.0\n")
    with pytest.raises(UsageError, match="line 2: workers: hang_s must be above 0"):
        options.read_file()
    assert options.file.section("workers", WorkersSettings).hang_s == 3.0


def test_an_address_is_bound_and_nobody_can_connect_yet() -> None:
    with bind(Place("127.0.0.1", 0)) as bound:
        host, port = bound.getsockname()
        assert address_of(bound) == f"127.0.0.1:{port}"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port))
        begin_listening(bound)
        socket.create_connection((host, port)).close()
        with pytest.raises(CannotListenError):
            bind(Place("127.0.0.1", port))


def test_no_place_of_ours() -> None:
    with pytest.raises(CannotListenError):
        bind(Place("192.0.2.1", 0))
    with pytest.raises(CannotListenError):
        bind(Place("no-such-host.invalid", 0))
