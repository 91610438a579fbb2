"""A page of memory that all workers share: who serves, with how many connections and requests.

Each worker writes its own row and reads the others', with no lock and no message: at the instant at
which a connection waits to be accepted, it knows whether another has fewer. A number that is a
moment old leads to a connection at the second best place, no more.

It is for two things. A connection goes to the worker that has the fewest: callers keep pools of a
few connections for long, and four taken by one worker would leave the other idle for hours. And
the load that any worker reports is the whole replica's, because callers compare replicas by it.
"""

from __future__ import annotations

import mmap
import os
from math import ceil

# 64 workers, as many old ones of a reload, as many of the one before, and some that end.
ROWS = 256
# A row is three numbers of 8 bytes: 1 while it serves, connections, requests in flight.
_WIDTH = 3
_BYTES = ROWS * _WIDTH * 8
# So many times the mean a worker may have before it gives some away: a difference of a tenth is
# not worth connecting anew.
_SLACK = 1.1


class Scoreboard:
    """See the module."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make one, or map one that is there.

        Args:
            descriptor: of the one that another process has made.
        """
        if descriptor is None:
            descriptor = os.memfd_create("workers", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, _BYTES)
        self.descriptor = descriptor
        self._cells = memoryview(mmap.mmap(descriptor, _BYTES)).cast("q")

    def row(self, number: int) -> Row:
        """One worker's row.

        Args:
            number: from 0 to `ROWS` - 1; no two living workers may have the same.
        """
        return Row(self._cells, number)


class Row:
    """One worker's place among the others; see `services.kit.server.Peers`."""

    def __init__(self, cells: memoryview[int], number: int) -> None:
        """Take a row of the page."""
        self._cells = cells
        self._at = number * _WIDTH

    def serve(self) -> None:
        """Count as one that takes connections."""
        self._cells[self._at] = 1

    def clear(self) -> None:
        """Count no more."""
        for column in range(_WIDTH):
            self._cells[self._at + column] = 0

    def connected(self, count: int) -> None:
        """Tell the others how many connections this worker has."""
        self._cells[self._at + 1] = count

    def yields(self) -> bool:
        """Whether another worker that serves has fewer connections than this one."""
        counts = self._counts()
        return bool(counts) and min(counts) < self._cells[self._at + 1]

    def surplus(self) -> int:
        """How many connections this worker should give away, so that all have about as many."""
        own = self._cells[self._at + 1]
        counts = self._counts()
        if len(counts) < 2:
            return 0
        mean = sum(counts) / len(counts)
        return max(0, own - ceil(mean)) if own > mean * _SLACK else 0

    def elsewhere(self, in_flight: int) -> int:
        """Exchange loads with the others.

        Args:
            in_flight: this worker's requests.

        Returns:
            The other workers' requests, those of old ones that drain among them.
        """
        self._cells[self._at + 2] = in_flight
        return sum(self._cells[2::_WIDTH].tolist()) - in_flight

    def _counts(self) -> list[int]:
        """The connections of all that serve."""
        cells = self._cells
        serving = cells[0::_WIDTH].tolist()
        counts = cells[1::_WIDTH].tolist()
        return [count for count, serves in zip(counts, serving, strict=True) if serves]
