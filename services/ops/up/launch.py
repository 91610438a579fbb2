"""Child processes: the command line of a replica, its input, its log."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from .logfile import LogFile
from .plan import Slot

_RUN_TWISTD = "from twisted.scripts.twistd import run; run()"


def twistd() -> list[str]:
    """How to start ``twistd`` with this process's own Python."""
    script = Path(sys.executable).parent / "twistd"
    if script.is_file():
        return [sys.executable, str(script)]
    # -P: as with the script, the working directory is not where modules come from.
    return [sys.executable, "-P", "-c", _RUN_TWISTD]


def command_line(slot: Slot, config: Path | None, *, epoll: bool) -> list[str]:
    """What follows ``twistd`` for one replica.

    Args:
        slot: which.
        config: the configuration file, or None for the defaults.
        epoll: whether the mesh reactor can be had.
    """
    reactor = ["--reactor=mesh"] if epoll else []
    file = ["--config", str(config)] if config is not None else []
    return [
        *("-n", "--pidfile=", *reactor),
        *(f"mesh-{slot.service}", *file, "--name", slot.replica),
        *("--until-eof", "--listen", "tcp:0:interface=127.0.0.1"),
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

    def __init__(self, reactor: Any, config: Path | None, own_folder: Path | None) -> None:
        """Take what all children have in common.

        Args:
            reactor: spawns.
            config: the configuration file.
            own_folder: where the user's own services may lie, or None when there are none.
        """
        self._reactor = reactor
        self._config = config.resolve() if config is not None else None
        self._environment = dict(os.environ)
        if own_folder is not None:
            given = os.environ.get("PYTHONPATH", "")
            path = [*filter(None, given.split(os.pathsep)), str(own_folder)]
            self._environment["PYTHONPATH"] = os.pathsep.join(path)

    def start(self, slot: Slot, log: LogFile, ended: Callable[[str], None]) -> IProcessTransport:
        """Start one replica.

        Args:
            slot: which.
            log: where its output goes.
            ended: called with how it ended.

        Returns:
            The process. It has a pipe of ours as its standard input and leaves when that closes:
            with us, however we die.
        """
        line = [*twistd(), *command_line(slot, self._config, epoll=hasattr(select, "epoll"))]
        descriptor = log.open()
        try:
            # Its output goes to the file without passing through here: it can still write its last
            # lines when we are gone.
            process: IProcessTransport = self._reactor.spawnProcess(
                _Child(ended),
                line[0],
                line,
                env=self._environment,
                childFDs={0: "w", 1: descriptor, 2: descriptor},
            )
        finally:
            os.close(descriptor)
        return process
