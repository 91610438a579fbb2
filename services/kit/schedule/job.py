"""What is declared of a job, and what a run of it is given."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Generic, Literal

from ..context import State
from .timetable import Timetable

# Who runs it: one process over all replicas, or each process for itself.
On = Literal["one", "each"]

# A run that waits for something that never comes would keep the lock for ever. An hour is above
# what a job of an online service takes; one that takes longer says so.
LIMIT_S = 3600.0

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}").fullmatch


class Run(Generic[State]):
    """What a job is given.

    Attributes:
        state: what the service opened at its start.
        slot: the time that the run is for, in UTC. A run after a crash or failure has the one
            that it makes up for; that of a daemon is its start.
    """

    __slots__ = ("slot", "state")

    def __init__(self, state: State, slot: datetime) -> None:
        """Make it."""
        self.state = state
        self.slot = slot


class Job:
    """A function and when it is to be run.

    Attributes:
        name: its name among the service's jobs.
        timetable: when it is due.
        on: "one" runs it in one process over all replicas, "each" in every one.
        limit_s: how long a run may take, in seconds; None: as long as it likes.
        is_daemon: it is to run for ever, so each end is one too early.
    """

    def __init__(
        self,
        function: Callable[..., Coroutine[Any, Any, None]],
        timetable: Timetable,
        *,
        on: On,
        name: str | None = None,
        limit_s: float | None = LIMIT_S,
        is_daemon: bool = False,
    ) -> None:
        """Check and take it.

        Args:
            function: ``async``; takes nothing, or the `Run`.
            timetable: see the class.
            on: see the class.
            name: the function's own without it.
            limit_s: see the class.
            is_daemon: see the class.

        Raises:
            ValueError: a function that is not async, a name or a limit that cannot be used.
        """
        self.name = function.__name__ if name is None else name
        if not _NAME(self.name):
            raise ValueError(f"job name {self.name!r}: use 1 to 40 letters, digits, '_' and '-'")
        if not inspect.iscoroutinefunction(function):
            raise ValueError(f"the job {self.name} must be an async function")
        if on not in ("one", "each"):
            raise ValueError(f"the job {self.name} runs on 'one' or on 'each', not on {on!r}")
        if limit_s is not None and not limit_s > 0:
            raise ValueError(f"the job {self.name}: limit_s must be above 0")
        self.timetable = timetable
        self.on = on
        self.limit_s = limit_s
        self.is_daemon = is_daemon
        self._function = function
        self._takes_run = len(inspect.signature(function).parameters) > 0

    def begin(self, run: Run[Any]) -> Coroutine[Any, Any, None]:
        """The coroutine of one run."""
        return self._function(run) if self._takes_run else self._function()
