"""Signals for code that a test runs inside its own process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.task import Clock


class SignalReactor(Clock):
    """What a command needs of a reactor: the time, which stands still, and signals, at once."""

    def callFromThread(self, function: Callable[[], None]) -> None:
        """See `IReactorFromThreads`."""
        function()


@contextmanager
def own_handlers() -> Iterator[None]:
    """Put the test process's own handlers back at the end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
