"""What every process of a replica does with the operating system: signals, its exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def on_signal(reactor: Any, number: signal.Signals, function: Callable[[], object]) -> None:
    """Call a function in the reactor when a signal comes.

    Twisted's own handlers end a process by the signal; one that has left in good order is to end
    with 0.
    """
    signal.signal(number, lambda *_: reactor.callFromThread(function))


def outlive_signals() -> None:
    """Let the signals that are for a running replica do nothing while it starts.

    Their default is to end the process. Who reloads a replica that is just starting wants what it
    is about to have.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def fail_at_exit(reactor: Any) -> None:
    """Have the process end with 1 once the reactor has stopped; twistd has no other way."""
    reactor.addSystemEventTrigger("after", "shutdown", _exit_failed)


def _exit_failed() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
