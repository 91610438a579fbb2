"""A worker: one process of a replica's, as its master tells it."""

from __future__ import annotations

import os
import signal
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.application import service as twisted_service
from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from balancer import MeshError, MonotonicClock
from clients import Mesh

from ..application import Application
from ..logs import Log, kind_of
from ..options import Options
from ..process import fail_at_exit, on_signal
from ..server import ServerSettings
from ..service import Service
from .decisions import newest
from .launch import FROM_MASTER, LISTENING, SCOREBOARD, TO_MASTER
from .messages import (
    LOG_BYTES,
    Ask,
    CannotStart,
    Contend,
    Drain,
    Lines,
    NotUnderstood,
    Ready,
    Relieve,
    Reopen,
    Serve,
    Told,
    ToMaster,
    ToWorker,
    decode_to_worker,
    encode_line,
)
from .scoreboard import Scoreboard
from .settings import WorkersSettings
from .totals import families_of

_log = Logger()


class Worker(twisted_service.Service):
    """See the module."""

    def __init__(self, service: Service[Any], options: Options, log: Log, reactor: Any) -> None:
        """Take what to serve and how.

        Args:
            service: the contract with its handlers.
            options: parsed; they name the replica and the worker.
            log: where to write.
            reactor: where it all runs.
        """
        for descriptor in (TO_MASTER, FROM_MASTER, LISTENING, SCOREBOARD):
            # What a handler starts has no business with them.
            os.set_inheritable(descriptor, False)
        self._options = options
        self._log = log
        self._reactor = reactor
        self._number, row = options["worker"]
        self._row = Scoreboard(SCOREBOARD).row(row)
        self._mesh = Mesh(options.file, caller=options["name"], reactor=reactor)
        self._application = Application(
            service,
            options,
            name=options["name"],
            reactor=reactor,
            clock=MonotonicClock(reactor),
            mesh=self._mesh,
        )
        self._master = _Master(self)
        self._starting: Deferred[None] | None = None
        # Until the master says otherwise, others take over and no caller need know.
        self._settings = options.file.section("workers", WorkersSettings)
        retire_s = self._settings.retire_s
        self._drain = Drain(retire_s, retire_s, leaving=False)
        self._serves = False
        self._relieving = False
        self._leaves = False
        self._failed = False

    def setServiceParent(self, parent: Any) -> None:
        """Give the application our log before twistd starts its own."""
        if hasattr(parent, "setComponent"):
            always = {"replica": self._options["name"], "worker": self._number}
            parent.setComponent(ILogObserver, self._log.observer(**always))
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start as soon as the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._run)

    def _run(self) -> None:
        from twisted.internet import stdio  # noqa: PLC0415 - it imports the reactor

        on_signal(self._reactor, signal.SIGTERM, self._terminated)
        # A terminal sends these to the whole group; the master knows what to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        on_signal(self._reactor, signal.SIGUSR1, self._log.reopen)
        open_pipes: Any = stdio.StandardIO
        open_pipes(self._master, FROM_MASTER, TO_MASTER, reactor=self._reactor)
        self._starting = ensureDeferred(self._start()).addErrback(self._cannot_start)

    def _terminated(self) -> None:
        """Have another take over, and then leave; a second time, leave.

        Unless the whole group was meant: then the master says so in a moment, and until callers
        have noticed there must be somebody.
        """
        if self._relieving or not self._serves:
            self._leave_now()
            return
        self._relieving = True
        notice_s = self._options.file.section("server", ServerSettings).drain_notice_s
        self._reactor.callLater(notice_s, self._ask_for_relief)

    def _ask_for_relief(self) -> None:
        if not self._leaves:
            self._master.tell(Relieve())
            # Nobody may come: the new code does not start, say. Whoever says TERM means it.
            self._reactor.callLater(self._settings.ready_s, self._leave_now)

    def _leave_now(self) -> None:
        if not self._leaves:
            self._master.tell(Relieve(waits=False))
            self.leave(self._drain)

    async def _start(self) -> None:
        await self._application.start(socket.socket(fileno=LISTENING))
        self._master.tell(Ready())

    def _cannot_start(self, failure: Failure) -> None:
        if self._leaves and failure.check(CancelledError):
            return  # it was told to leave meanwhile
        self._master.tell(CannotStart(why_not(failure)))
        _log.failure("cannot start", failure)
        self._failed = True
        self.leave(self._drain)

    def told(self, message: ToWorker) -> None:
        """Do what the master says."""
        match message:
            case Serve():
                if not self._leaves:
                    self._serves = True
                    self._application.serve(contend=message.contend, peers=self._row)
            case Contend():
                self._application.contend()
            case Ask():
                self._application.balance()
                self._tell(message)
            case Reopen():
                self._log.reopen()
            case Drain():
                self.leave(message)

    def _tell(self, question: Ask | None) -> None:
        decisions = question is not None and question.what == "decisions"
        self._master.tell(
            Told(
                question.number if question is not None else 0,
                families_of(self._application.collectors()),
                newest(self._application.decided(), LOG_BYTES).decode() if decisions else "",
            )
        )

    def orphaned(self) -> None:
        """The master is gone, and with it the replica: leave in good order."""
        if not self._leaves:
            _log.error("the master is gone: worker {worker} leaves", worker=self._number)
        drain_s = self._options.file.section("server", ServerSettings).drain_s
        self.leave(Drain(drain_s))

    def leave(self, drain: Drain) -> None:
        """Leave in good order and end the process; a second time it can only become quicker."""
        self._drain = drain
        if self._leaves:
            self._application.hurry(drain.wait_s, drain.idle_s, leaving=drain.leaving)
        else:
            self._leaves = True
            self._reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Finish what runs, close everything, tell the last counters.

        Returns:
            Fires when the process may end.
        """
        super().stopService()
        self._leaves = True
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await self._starting
        clean = await self._application.leave(
            self._drain.wait_s, self._drain.idle_s, leaving=self._drain.leaving
        )
        self._row.clear()
        self._tell(None)
        await self._master.close()
        self._mesh.close()
        if self._failed or not clean:
            fail_at_exit(self._reactor)
        _log.info("worker {worker} has left", worker=self._number)


class _Master(protocol.Protocol):
    """The pipes to and from the master."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._lines = Lines()
        self._closed: Deferred[None] = Deferred()

    def tell(self, message: ToMaster) -> None:
        if not self._closed.called and self.transport is not None:
            self.transport.write(encode_line(message))

    def dataReceived(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            try:
                message = decode_to_worker(line or b"")
            except NotUnderstood as error:
                _log.error("the master is not understood: {error}", error=str(error))
            else:
                self._worker.told(message)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self._closed.callback(None)
        self._worker.orphaned()

    def close(self) -> Deferred[None]:
        """Write what is to be written, and end.

        Returns:
            Fires when that is done.
        """
        if not self._closed.called:
            if self.transport is None:
                self._closed.callback(None)
            else:
                self.transport.loseConnection()
        return self._closed


def why_not(failure: Failure) -> str:
    """Say in words why a worker cannot start; only our own errors are quoted.

    Args:
        failure: what came up.
    """
    error = failure.value
    if isinstance(error, MeshError):
        return f"cannot start: {error}"
    if isinstance(error, SyntaxError):
        return f"cannot start: {kind_of(error)} at {error.filename}:{error.lineno}"
    frames = traceback.extract_tb(failure.getTracebackObject())
    place = " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames[-3:]))
    return f"cannot start: {kind_of(error)} at {place}"


@contextmanager
def telling_why() -> Iterator[None]:
    """Tell the master of what goes wrong before there is a reactor, such as a broken import."""
    try:
        yield
    except Exception:
        os.write(TO_MASTER, encode_line(CannotStart(why_not(Failure()))))
        raise
