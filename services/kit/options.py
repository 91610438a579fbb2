"""The options of every ``twistd mesh-...`` subcommand."""

from __future__ import annotations

import ipaddress
import re

from twisted.python import usage

from balancer import ConfigError, ConfigFile, read_config

from .settings import LogSettings, check_config

_LISTEN = re.compile(r"tcp:([0-9]{1,5})(?::interface=([^:]+|\[[0-9a-fA-F:]+\]))?").fullmatch
_HOST = re.compile(r"[A-Za-z0-9_.-]+").fullmatch


def parse_listen(text: str) -> tuple[str, int]:
    """Read ``tcp:PORT`` or ``tcp:PORT:interface=HOST``.

    Returns:
        The interface (loopback when none is named) and the port.

    Raises:
        usage.UsageError: it reads otherwise.
    """
    found = _LISTEN(text)
    if not found or int(found[1]) > 65535:
        raise usage.UsageError(
            f"{text!r} is not tcp:PORT:interface=HOST, such as tcp:8001:interface=127.0.0.1"
        )
    return (found[2] or "127.0.0.1").strip("[]"), int(found[1])


def parse_advertise(text: str) -> str:
    """Read the host to announce.

    Returns:
        The host; an IPv6 address in brackets.

    Raises:
        usage.UsageError: it has a port or is none.
    """
    bare = text.strip("[]")
    try:
        host = f"[{ipaddress.IPv6Address(bare)}]"
    except ValueError:
        host = text if _HOST(text) else ""
    if not host or every_interface(bare):
        raise usage.UsageError(
            f"--advertise {text!r} is not a host that callers reach, without a port, such as "
            "10.0.0.7, fd00::7 or users-1.mesh"
        )
    return host


def every_interface(host: str) -> bool:
    """Whether a host to listen on stands for all of this machine's."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def announced(listened: str, advertised: str | None) -> str:
    """The address to announce.

    Args:
        listened: where the port is, "host:port".
        advertised: the host that callers reach instead of that one.
    """
    return f"{advertised}:{listened.rpartition(':')[2]}" if advertised else listened


def parse_weight(text: str) -> float:
    """Read a replica's weight.

    Raises:
        usage.UsageError: it is no number, or out of range.
    """
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0.001 <= weight <= 1000:
        raise usage.UsageError(f"--weight {text!r} is not a number from 0.001 to 1000")
    return weight


class Options(usage.Options):
    """What a replica is told on its command line.

    Attributes:
        package: where the service is imported from.
        file: the configuration, once the options are parsed.
    """

    optParameters = [  # noqa: RUF012 - Twisted's own way
        ["config", "c", None, "TOML file; without it the embedded defaults."],
        ["listen", "l", "tcp:0:interface=127.0.0.1", "Where to serve; port 0 takes any free one."],
        ["admin", "a", "tcp:0:interface=127.0.0.1", "Where to serve health, metrics and drain."],
        ["name", "n", None, "The replica's name in the registry; SERVICE-PID without it."],
        ["advertise", None, None, "Host to announce, when it is not the one listened on."],
        ["log", None, None, "json or text; without it as the configuration says."],
        ["release", None, "1", "The replica's version in the registry."],
        ["zone", None, "", "Where the replica runs; callers stay in their own zone."],
        ["weight", None, "1", "Its share of the calls beside others, from 0.001 to 1000."],
        [
            "standby",
            None,
            None,
            "File; without it there: serve, but take no calls before POST /announce makes it.",
        ],
    ]
    optFlags = [  # noqa: RUF012 - Twisted's own way
        ["until-eof", None, "Leave when standard input ends: with the process that holds it."],
    ]

    def __init__(self, package: str) -> None:
        """Take the package of the service."""
        super().__init__()
        self.package = package
        self.file = ConfigFile()

    def postOptions(self) -> None:
        """Check everything that can be checked before anything runs."""
        self["listen"] = parse_listen(self["listen"])
        self["admin"] = parse_listen(self["admin"])
        if self["advertise"]:
            self["advertise"] = parse_advertise(self["advertise"])
        self["weight"] = parse_weight(self["weight"])
        for option in ("listen", "admin"):
            if every_interface(self[option][0]) and not self["advertise"]:
                raise usage.UsageError(
                    f"--{option} on every interface needs --advertise HOST: the host to announce"
                )
        try:
            self.file = file = read_config(self["config"])
            check_config(file)
            log = self["log"] or file.section("log", LogSettings).format
            LogSettings(format=log)
        except (ConfigError, ValueError) as error:
            raise usage.UsageError(str(error)) from None
        self["log"] = log
