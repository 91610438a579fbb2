"""Starts a worker: a fresh process with the master's own command line and a few descriptors.

Fresh and not forked, so that it has the code and the configuration that lie there now, and no
half of a reactor. What it inherits is named here; everything else is closed.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from .messages import (
    Heard,
    Lines,
    NotUnderstood,
    TooLong,
    ToWorker,
    decode_to_master,
    encode_line,
)
from .scoreboard import ROWS, Scoreboard

if TYPE_CHECKING:
    from ..options import Options

# The worker's descriptors beside the three usual ones.
TO_MASTER, FROM_MASTER, LISTENING, SCOREBOARD = 3, 4, 5, 6

_log = Logger()


def own_program() -> list[str]:
    """How this process was started, up to its arguments: interpreter, its flags, program."""
    return [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]]


def command_line(options: Options, name: str, worker: str) -> list[str]:
    """What follows the program for one worker.

    Args:
        options: the master's.
        name: the replica's.
        worker: which worker, as `--worker` takes it.
    """
    twistd: Any = options.parent
    reactor = twistd.get("reactor")
    return [
        *("-n", "--pidfile=", *([f"--reactor={reactor}"] if reactor else [])),
        *(twistd.subCommand, *options.arguments, "--name", name, "--worker", worker),
    ]


class Launcher:
    """See the module."""

    def __init__(
        self,
        reactor: Any,
        options: Options,
        name: str,
        listening: socket.socket,
        scoreboard: Scoreboard,
    ) -> None:
        """Take what all workers have in common.

        Args:
            reactor: spawns.
            options: the master's.
            name: the replica's.
            listening: where they accept.
            scoreboard: what they share.
        """
        self._reactor = reactor
        self._options = options
        self._name = name
        self._listening = listening
        self._scoreboard = scoreboard
        self._rows: set[int] = set()

    def __call__(
        self, number: int, heard: Callable[[Heard], None], ended: Callable[[str, bool], None]
    ) -> WorkerProcess:
        """Start one; see `crew.Launch`."""
        row = next((row for row in range(ROWS) if row not in self._rows), None)
        if row is None:
            raise OSError(errno.EAGAIN, "there are too many workers that have not yet left")
        self._rows.add(row)

        def over(how: str, clean: bool) -> None:
            # A dead one must not look as if it had the fewest connections.
            self._scoreboard.row(row).clear()
            self._rows.discard(row)
            ended(how, clean)

        line = [
            *own_program(),
            *command_line(self._options, self._name, f"{number}:{row}"),
        ]
        process = WorkerProcess(number, heard, over, self._reactor.callLater)
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._reactor.spawnProcess(
                process,
                line[0],
                line,
                env=dict(os.environ),
                path=self._options.folder,
                childFDs={
                    0: nothing,
                    1: 1,
                    2: 2,
                    TO_MASTER: "r",
                    FROM_MASTER: "w",
                    LISTENING: self._listening.fileno(),
                    SCOREBOARD: self._scoreboard.descriptor,
                },
            )
        except OSError:
            self._rows.discard(row)
            raise
        finally:
            os.close(nothing)
        return process


# How long a dead worker's last messages may take to be read (seconds).
_LAST_WORDS_S = 0.2


class WorkerProcess(ProcessProtocol):
    """One worker's process, and the pipes to it; see `member.Process`."""

    transport: Any

    def __init__(
        self,
        number: int,
        heard: Callable[[Heard], None],
        ended: Callable[[str, bool], None],
        later: Callable[..., Any],
    ) -> None:
        """Begin with none.

        Args:
            number: see `crew.Launch`; likewise the next two.
            heard: called with what it tells.
            ended: called with how it ended.
            later: the reactor's ``callLater``.
        """
        self._number = number
        self._heard = heard
        self._on_end = ended
        self._later = later
        self._over = False
        self._lines = Lines()
        self.pid = 0

    def connectionMade(self) -> None:
        """Note the process."""
        self.pid = self.transport.pid

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Read what it tells."""
        for line in self._lines.feed(data):
            if line is None:
                _log.error(
                    "worker {worker} says more at once than is taken in, and it is left out: "
                    "restart the whole replica",
                    worker=self._number,
                )
                self._heard(TooLong())
                continue
            try:
                message = decode_to_master(line)
            except NotUnderstood as error:
                # A release whose words have changed: its silence will be noticed.
                _log.error(
                    "worker {worker} is not understood ({error}): restart the whole replica",
                    worker=self._number,
                    error=str(error),
                )
            else:
                self._heard(message)

    def processExited(self, reason: Failure) -> None:
        """It is dead; a process that it forked may hold its pipes for as long as that lives."""
        self._later(_LAST_WORDS_S, self._hang_up)

    def _hang_up(self) -> None:
        for descriptor in list(self.transport.pipes):
            self.transport.closeChildFD(descriptor)

    def processEnded(self, reason: Failure) -> None:
        """It has ended, and all that it told is read."""
        self._over = True
        value: Any = reason.value
        if value.signal is not None:
            self._on_end(f"was killed by signal {value.signal}", False)
        else:
            status = value.exitCode or 0
            self._on_end(f"ended with status {status}", status == 0)

    def tell(self, message: ToWorker) -> None:
        """Send a message; harmless when it has ended."""
        if not self._over and FROM_MASTER in self.transport.pipes:
            self.transport.writeToChild(FROM_MASTER, encode_line(message))

    def terminate(self) -> None:
        """Have it end; harmless when it has ended."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("TERM")

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")
