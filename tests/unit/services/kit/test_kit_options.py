"""A replica's command line: what is refused, and what is announced."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.python.usage import UsageError

from services.kit.listening import every_interface, parse_listen
from services.kit.options import Options, announced


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
