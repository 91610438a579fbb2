"""The options of every ``twistd mesh-...`` subcommand."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from twisted.python import usage

from balancer import ConfigError, ConfigFile, read_config

from .listening import Passed, Place, every_interface, parse_listen
from .settings import LogSettings, check_config

_HOST = re.compile(r"[A-Za-z0-9_.-]+").fullmatch
_WORKER = re.compile(r"([0-9]+):([0-9]+)").fullmatch
# A worker fills a core: more of them than any machine has cores is a slip.
_MOST_WORKERS = 64


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


def parse_workers(text: str) -> int:
    """Read how many workers there are to be.

    Raises:
        usage.UsageError: it is no number, or out of range.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_WORKERS:
        raise usage.UsageError(
            f"--workers {text!r} is not a number from 1 to {_MOST_WORKERS}; one a core is enough, "
            "and without the option the replica is one process"
        )
    return int(text)


class WorkerId(NamedTuple):
    """Which worker of its master a process is.

    Attributes:
        number: counts the workers of the master's life.
        row: its row on the scoreboard.
    """

    number: int
    row: int


def parse_worker(text: str) -> WorkerId:
    """Read what a master tells its worker.

    Raises:
        usage.UsageError: no master has written it.
    """
    found = _WORKER(text)
    if found is None:
        raise usage.UsageError("--worker is what a replica with --workers adds for its processes")
    return WorkerId(int(found[1]), int(found[2]))


class Options(usage.Options):
    """What a replica is told on its command line.

    Attributes:
        package: where the service is imported from.
        file: the configuration, once the options are parsed.
        arguments: as they were written.
        folder: where relative paths in them begin.
    """

    optParameters = [  # noqa: RUF012 - Twisted's own way
        ["config", "c", None, "TOML file; without it the embedded defaults."],
        [
            "listen",
            "l",
            "tcp:0:interface=127.0.0.1",
            "Where to serve; port 0 takes any free one. Or systemd:INDEX: a socket that it passes.",
        ],
        [
            "workers",
            "w",
            None,
            "Serve with so many processes, one a core; SIGHUP replaces them without a loss.",
        ],
        ["admin", "a", "tcp:0:interface=127.0.0.1", "Where to serve health, metrics and drain."],
        ["name", "n", None, "The replica's name in the registry; SERVICE-PID without it."],
        ["advertise", None, None, "Host to announce, when it is not the one listened on."],
        ["log", None, None, "json or text; without it as the configuration says."],
        ["log-file", None, None, "Append the log to a file; SIGUSR1 opens it anew."],
        ["release", None, "1", "The replica's version in the registry."],
        ["zone", None, "", "Where the replica runs; callers stay in their own zone."],
        ["weight", None, "1", "Its share of the calls beside others, from 0.001 to 1000."],
        [
            "standby",
            None,
            None,
            "File; without it there: serve, but take no calls before POST /announce makes it.",
        ],
        ["worker", None, None, "Added by a replica with --workers for its processes."],
    ]
    optFlags = [  # noqa: RUF012 - Twisted's own way
        ["until-eof", None, "Leave when standard input ends: with the process that holds it."],
    ]

    def __init__(self, package: str) -> None:
        """Take the package of the service."""
        super().__init__()
        self.package = package
        self.file = ConfigFile()
        self.arguments: list[str] = []
        self.folder = Path.cwd()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the arguments, and keep them for workers."""
        self.arguments = list(options or ())
        super().parseOptions(options)

    def postOptions(self) -> None:
        """Check everything that can be checked before anything runs."""
        self["listen"] = parse_listen(self["listen"])
        self["admin"] = parse_listen(self["admin"])
        if self["advertise"]:
            self["advertise"] = parse_advertise(self["advertise"])
        self["weight"] = parse_weight(self["weight"])
        if self["workers"] is not None:
            self["workers"] = parse_workers(self["workers"])
        if self["worker"] is not None:
            self["worker"] = parse_worker(self["worker"])
        if self["log-file"]:
            self["log-file"] = self.folder / self["log-file"]
        for option in ("listen", "admin"):
            if isinstance(self[option], Place):
                self.check_announced(option, self[option].host)
        if isinstance(self["listen"], Passed) and self["listen"] == self["admin"]:
            raise usage.UsageError("--listen and --admin need a socket each of systemd's")
        self.read_file()

    def check_announced(self, option: str, host: str) -> None:
        """Check that callers can be told where it listens.

        Args:
            option: "listen" or "admin".
            host: the interface.

        Raises:
            usage.UsageError: that says nothing to others.
        """
        if every_interface(host) and not self["advertise"]:
            raise usage.UsageError(
                f"--{option} on every interface needs --advertise HOST: the host to announce"
            )

    def read_file(self) -> None:
        """Read the configuration, at the start and at each reload.

        Raises:
            usage.UsageError: it cannot be used; then the one that was read before stays.
        """
        try:
            file = read_config(self["config"])
            check_config(file)
            log = self["log"] or file.section("log", LogSettings).format
            LogSettings(format=log)
        except (ConfigError, ValueError) as error:
            raise usage.UsageError(str(error)) from None
        self.file = file
        self["log"] = log
