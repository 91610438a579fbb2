"""The ``mesh`` reactor: Twisted's epoll reactor with less work an event and a steady clock.

The stock reactor wraps every event in a logging context and a cascade of checks, which costs more
than parsing a small request. Here a plain "there is something to read" goes straight to the
transport; everything unusual takes the stock way. Its clock is the monotonic one, so a step of
the system's time moves no timer.

Chosen with ``twistd --reactor=mesh``, or by `install` before anything imports the reactor.
"""

from __future__ import annotations

import select
import sys
import time
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.python import log

_READABLE = select.EPOLLIN


class MeshReactor(EPollReactor):
    """See the module."""

    seconds = staticmethod(time.monotonic)  # noqa: TID251 - this is the reactor's clock

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events and handle them.

        Args:
            timeout: the longest wait in seconds; None waits for ever.
        """
        selectables: dict[int, Any] = self._selectables
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
        except InterruptedError:
            return
        for descriptor, event in events:
            selectable = selectables.get(descriptor)
            if selectable is None:
                continue
            if event != _READABLE:
                log.callWithLogger(selectable, self._doReadOrWrite, selectable, descriptor, event)
                continue
            try:
                why = selectable.doRead()
            except BaseException:  # noqa: BLE001 - as the stock reactor: log, drop the connection
                why = sys.exc_info()[1]
                log.err()
            if why:
                self._disconnectSelectable(selectable, why, True)

    doIteration = doPoll


def install() -> MeshReactor:
    """Make this the process's reactor.

    Raises:
        twisted.internet.error.ReactorAlreadyInstalledError: another one was imported first.
    """
    reactor = MeshReactor()
    installReactor(reactor)
    return reactor
