"""The options of every ``twistd mesh-...`` subcommand."""

from __future__ import annotations

import re

from twisted.python import usage

from balancer import ConfigError, ConfigFile, read_config

from .settings import LogSettings, check_config

_LISTEN = re.compile(r"tcp:(\d{1,5})(?::interface=([^:]+|\[[0-9a-fA-F:]+\]))?").fullmatch


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
        if self["listen"][0] in ("0.0.0.0", "::") and not self["advertise"]:  # noqa: S104
            raise usage.UsageError(
                "--listen on every interface needs --advertise HOST: the host that callers reach"
            )
        try:
            self.file = file = read_config(self["config"])
            check_config(file)
            log = self["log"] or file.section("log", LogSettings).format
            LogSettings(format=log)
        except (ConfigError, ValueError) as error:
            raise usage.UsageError(str(error)) from None
        self["log"] = log
