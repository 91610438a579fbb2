"""Child processes: the command line of a replica, its input, its log."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from ..code import find_code, module_path, twistd
from .logfile import LogFile
from .plan import Slot


def command_line(slot: Slot, config: Path | None, *, epoll: bool) -> list[str]:
    """What follows ``twistd`` for one replica.

    Args:
        slot: which.
        config: the configuration file, or None for the defaults.
        epoll: whether the mesh reactor can be had.
    """
    reactor = ["--reactor=mesh"] if epoll else []
    file = ["--config", str(config)] if config is not None else []
    standby = ["--standby", str(slot.mark)] if slot.mark is not None else []
    return [
        *("-n", "--pidfile=", *reactor),
        *(f"mesh-{slot.service}", *file, "--name", slot.replica, "--release", slot.version),
        *("--until-eof", "--listen", "tcp:0:interface=127.0.0.1", *standby),
    ]


class _Child(ProcessProtocol):
    """Tells of one process's end."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended

    def processExited(self, reason: Failure) -> None:
        self._ended(how_it_ended(reason.value))


def how_it_ended(reason: Any) -> str:
    """Say it of a `ProcessDone` or `ProcessTerminated`: "was killed by signal 9" and so on."""
    if reason.signal is not None:
        return f"was killed by signal {reason.signal}"
    return f"ended with status {reason.exitCode or 0}"


class Launcher:
    """Starts replicas as children that leave when this process is gone."""

    def __init__(
        self, reactor: Any, config: Path | None, folder: Path, has_own: Callable[[str], bool]
    ) -> None:
        """Take what all children have in common.

        Args:
            reactor: spawns.
            config: the configuration file.
            folder: what the folder of a slot's code is relative to, and where the user's own
                services may lie.
            has_own: whether a service is the user's own.
        """
        self._reactor = reactor
        self._config = config.resolve() if config is not None else None
        self._folder = folder
        self._has_own = has_own

    def start(self, slot: Slot, log: LogFile, ended: Callable[[str], None]) -> IProcessTransport:
        """Start one replica.

        Args:
            slot: which.
            log: where its output goes.
            ended: called with how it ended.

        Returns:
            The process. It has a pipe of ours as its standard input and leaves when that closes:
            with us, however we die.

        Raises:
            Failed: the folder of its code is not there, or holds none.
            OSError: the machine refuses it.
        """
        code = find_code(self._folder, slot.code, slot.service)
        line = [*twistd(code), *command_line(slot, self._config, epoll=hasattr(select, "epoll"))]
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        own_folder = self._folder if self._has_own(slot.service) else None
        path = module_path(code, own_folder, os.environ)
        if path is not None:
            environment["PYTHONPATH"] = path
        descriptor = log.open()
        try:
            # Its output goes to the file without passing through here: it can still write its last
            # lines when we are gone.
            process: IProcessTransport = self._reactor.spawnProcess(
                _Child(ended),
                line[0],
                line,
                env=environment,
                childFDs={0: "w", 1: descriptor, 2: descriptor},
            )
        finally:
            os.close(descriptor)
        return process
