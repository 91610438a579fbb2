"""A clock that only goes forward.

A reactor's own clock follows wall time, so a step of the system clock would make every deadline
fire early or late. Deadlines here are instants of this clock; only the waking up is left to the
reactor's timers. On the mesh reactor these go by the same clock; on a stock reactor a step of
the system's time backwards still delays the waking up by as much, and no deadline fires early.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Clock(Protocol):
    """The two things that are asked of a clock; `twisted.internet.task.Clock` is one too."""

    def seconds(self) -> float:
        """Now, in seconds that never go back."""

    def callLater(  # noqa: D102 - Twisted's own contract
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall: ...


class MonotonicClock:
    """A reactor's timers with the system's monotonic clock."""

    def __init__(self, reactor: IReactorTime) -> None:
        """Take the timers of a reactor."""
        self.callLater = reactor.callLater
        self.seconds: Callable[[], float] = time.monotonic  # noqa: TID251 - this is the clock
