"""A command's life under the reactor: like `twisted.internet.task.react`, with exit statuses."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ReactorAlreadyInstalledError, ReactorNotRunning
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from .faults import INTERRUPTED, say

_LOUD = (LogLevel.warn, LogLevel.error, LogLevel.critical)


def install_reactor() -> None:
    """Take the mesh reactor where there is epoll; before anything imports another."""
    try:
        from balancer.transport.reactor import install  # noqa: PLC0415 - it needs epoll
    except ImportError:
        return
    with suppress(ReactorAlreadyInstalledError):
        install()


def run(work: Callable[[Any], Coroutine[Any, Any, int]]) -> int:
    """Run a command.

    Args:
        work: given the reactor; its result is the exit status.

    Returns:
        The exit status. What ``work`` raises is raised here.
    """
    from twisted.internet import reactor as installed  # noqa: PLC0415, TID251 - the edge

    reactor: Any = installed
    globalLogBeginner.beginLoggingTo([_tell], discardBuffer=True, redirectStandardIO=False)
    results: list[Any] = []

    def end(result: Any) -> None:
        results.append(result)
        # The work may end while an interrupt is already stopping the reactor.
        with suppress(ReactorNotRunning):
            reactor.stop()

    reactor.callWhenRunning(lambda: ensureDeferred(work(reactor)).addBoth(end))
    reactor.run()
    if not results:
        return INTERRUPTED
    if isinstance(results[0], Failure):
        results[0].raiseException()
    status: int = results[0]
    return status


def on_signals(reactor: Any, function: Callable[[], None]) -> None:
    """Have a function called at each ^C, SIGTERM and SIGHUP instead of ending at once.

    Call it while the reactor runs: Twisted's own handlers are set at its start.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: reactor.callFromThread(function))


def wall() -> float:
    """Now, in seconds since the epoch: for ages of what other processes started."""
    return time.time()  # noqa: TID251 - the edge where the command's wall clock comes from


@implementer(ILogObserver)
def _tell(event: Any) -> None:
    """Write what the library logs as a warning or worse, a line each, to standard error."""
    if event.get("log_level") not in _LOUD:
        return
    text = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        text = f"{text or 'unhandled failure'} ({failure.type.__name__}: {failure.value})"
    if text:
        say(text)
    sys.stderr.flush()
