"""What systemd is told, and what it passes: readiness, reloads, the watchdog, sockets.

The protocol is a datagram to a socket that the environment names, and descriptors from 3 on, so it
needs no library. Without systemd all of this does nothing. The variables are taken out of the
environment: a worker that inherited them would speak for the whole replica, and `LISTEN_FDS`
says nothing true to a process that was passed other descriptors.

Sources: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from balancer import Clock, ConfigError

from .listening import Passed

_FIRST_PASSED = 3
_VARIABLES = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)
# How long a datagram may wait for room (seconds): systemd reads them at once.
_BUSY_S = 0.1

_log = Logger()


def take_environment(environ: MutableMapping[str, str]) -> dict[str, str]:
    """Take systemd's variables, and leave none of them to other processes.

    Args:
        environ: the process's environment as it is now.

    Returns:
        The environment with which the process was started: Twisted has taken some of them already,
        at its import.
    """
    for name in _VARIABLES:
        environ.pop(name, None)
    try:
        raw = Path("/proc/self/environ").read_bytes()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in os.fsdecode(raw).split("\0"))
    return {name: value for name, _, value in pairs if name in _VARIABLES}


class Systemd:
    """The manager that started this process, if one did."""

    def __init__(self, given: Mapping[str, str], clock: Clock) -> None:
        """Read what systemd says.

        Args:
            given: the environment with which the process was started.
            clock: the system's monotonic one.
        """
        self._clock = clock
        self._notify = given.get("NOTIFY_SOCKET", "")
        own = str(os.getpid())
        watched_s = _number(given.get("WATCHDOG_USEC", "")) / 1_000_000
        # Either may be meant for another process that passed its environment on.
        self._watchdog_s = watched_s if given.get("WATCHDOG_PID", own) == own else 0.0
        passed = _number(given.get("LISTEN_FDS", ""))
        self._passed = passed if given.get("LISTEN_PID", "") == own else 0
        for number in range(self._passed):
            os.set_inheritable(_FIRST_PASSED + number, False)
        self._beat: IDelayedCall | None = None

    def socket(self, passed: Passed) -> socket.socket:
        """Take a socket that systemd has bound.

        Raises:
            ConfigError: there is none of that index, or it is no TCP socket that listens.
        """
        name = f"systemd:{passed.number}"
        if passed.number >= self._passed:
            raise ConfigError(
                f"{name}: systemd passed {self._passed} sockets to this process; start it by a "
                "unit with a .socket unit beside it, or listen on tcp:PORT:interface=HOST"
            )
        found = socket.socket(fileno=_FIRST_PASSED + passed.number)
        try:
            listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listens = 0
        inet = found.family in (socket.AF_INET, socket.AF_INET6)
        if not (inet and found.type == socket.SOCK_STREAM and listens):
            raise ConfigError(
                f"{name} is no listening TCP socket: its unit needs ListenStream=PORT"
            )
        return found

    def ready(self, status: str) -> None:
        """Say that it is up, or that a reload is over.

        Args:
            status: one line for ``systemctl status``.
        """
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that a reload has begun; `ready` ends it."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.seconds() * 1_000_000)}")

    def stopping(self) -> None:
        """Say that it is leaving."""
        self._say("STOPPING=1", "STATUS=leaving: finishes what runs")

    def watch(self, is_well: Callable[[], bool]) -> None:
        """Keep the watchdog quiet, from now on and for as long as all is well.

        Args:
            is_well: asked twice in the watchdog's time, which the reactor must live for as well.
        """
        if self._watchdog_s > 0:
            if is_well():
                self._say("WATCHDOG=1")
            self._beat = self._clock.callLater(self._watchdog_s / 2, self.watch, is_well)

    def close(self) -> None:
        """End the watching."""
        if self._beat is not None and self._beat.active():
            self._beat.cancel()

    def _say(self, *lines: str) -> None:
        if not self._notify:
            return
        # A leading @ stands for the zero byte of an abstract socket's name.
        address = "\0" + self._notify[1:] if self._notify[0] == "@" else self._notify
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            # A manager that is busy must not stop us for long.
            channel.settimeout(_BUSY_S)
            try:
                channel.sendto("\n".join(lines).encode(), address)
            except OSError as error:
                _log.warn("systemd could not be told {what}: {error}", what=lines[0], error=error)


def _number(text: str) -> int:
    with suppress(ValueError):
        return max(0, int(text))
    return 0
