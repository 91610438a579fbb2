"""One attempt as a server has it, and what works it off."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from ...transport import Attempt


class Place(Enum):
    """Where a job is: on its way (there, back, or given up), held without work, or worked on."""

    AWAY = 0
    HELD = 1
    WORKING = 2


class Job:
    """An attempt at a server.

    Attributes:
        attempt: who waits for its answer; None once nobody does.
        began: when it came, in virtual seconds.
        size_s: how much work it is, in seconds of an idle server of capacity 1.
        deadline: when its caller gives up, in virtual seconds; infinite when nobody asks.
        status: what it will be answered.
        nack: whether the answer promises that nothing was begun.
        place: where it is.
    """

    __slots__ = ("attempt", "began", "deadline", "nack", "place", "size_s", "status")

    def __init__(self, attempt: Attempt) -> None:
        """Begin on the way to the server."""
        self.attempt: Attempt | None = attempt
        self.began = 0.0
        self.size_s = 0.0
        self.deadline = float("inf")
        self.status = 200
        self.nack = False
        self.place = Place.AWAY


class Work(Protocol):
    """How a server works off its jobs."""

    def attach(self, done: Callable[[Job], None]) -> None:
        """Take whom to tell of each job when its work is done, or when it is refused its turn."""

    def begin(self, job: Job) -> None:
        """Take a job."""

    def cancel(self, job: Job) -> None:
        """Forget a job that was taken and is not done; its place says so already."""
