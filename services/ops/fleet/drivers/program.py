"""Programs that are run to their end, for their output."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from .interface import DriverError


class Output(NamedTuple):
    """What came of a program.

    Attributes:
        status: its exit status; -N when signal N ended it.
        out: what it wrote to standard output.
        err: what it wrote to standard error.
    """

    status: int
    out: str
    err: str


class Run(Protocol):
    """Runs a program."""

    def __call__(self, line: Sequence[str], within_s: float) -> Deferred[Output]:
        """Run it.

        Args:
            line: the program, found as a shell would, and its arguments.
            within_s: after how long it is killed, in seconds.

        Returns:
            Fires with what came of it, whatever its status; fails with `DriverError` when it is not
            there, cannot be run or was killed.
        """


class Programs:
    """Runs programs as children; see `Run`."""

    def __init__(self, reactor: Any) -> None:
        """Take what spawns."""
        self._reactor = reactor

    def __call__(self, line: Sequence[str], within_s: float) -> Deferred[Output]:
        """See `Run`."""
        path = shutil.which(line[0])
        if path is None:
            text = f"there is no program {line[0]!r} here; is it installed, and executable?"
            return fail(DriverError(text))
        running = _Running()
        try:
            running.process = self._reactor.spawnProcess(
                running, path, list(line), env=dict(os.environ)
            )
        except OSError as error:
            why = error.strerror or str(error)
            return fail(DriverError(f"{line[0]} cannot be started ({why})"))
        timer = self._reactor.callLater(within_s, running.kill)

        def ended(result: Any) -> Any:
            if timer.active():
                timer.cancel()
                return result
            raise DriverError(f"{line[0]} has not answered within {within_s:g} s, and was killed")

        return running.ended.addBoth(ended)


class _Running(ProcessProtocol):
    """One program on its way."""

    def __init__(self) -> None:
        self.ended: Deferred[Output] = Deferred()
        self.process: IProcessTransport | None = None
        self._out: list[bytes] = []
        self._err: list[bytes] = []

    def outReceived(self, data: bytes) -> None:
        self._out.append(data)

    def errReceived(self, data: bytes) -> None:
        self._err.append(data)

    def processEnded(self, reason: Failure) -> None:
        status: Any = reason.value
        out, err = (b"".join(each).decode("utf-8", "replace") for each in (self._out, self._err))
        number = -status.signal if status.signal is not None else status.exitCode or 0
        self.ended.callback(Output(number, out, err))

    def kill(self) -> None:
        if self.process is not None:
            # What it has started itself may hold its output open: that is no longer waited for.
            self.process.loseConnection()
            with suppress(ProcessExitedAlready):
                self.process.signalProcess("KILL")
