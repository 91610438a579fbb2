"""The measured window: what is counted between its opening and its closing.

Workers look at ``on`` before each call, so every call that begins in the window also ends in it,
and no call of the warm-up is left over: CPU time and calls are of the same set.
"""

from __future__ import annotations

import os
import time

import msgspec

from .cpu import cpu_ns


class WrongAnswer(Exception):
    """A peer answered something else than it was asked."""


class Order(msgspec.Struct):
    """What a caller is told to do.

    Attributes:
        addresses: "host:port" of each server.
        pids: the servers' processes.
        warm_up_s: how long to call before the window opens; every answer is checked.
        seconds: how long the window stays open.
    """

    addresses: list[str]
    pids: list[int]
    warm_up_s: float
    seconds: float


class Sample(msgspec.Struct):
    """What one window showed.

    Attributes:
        calls: answered calls.
        wall_s: how long it took, in seconds.
        caller_ns: CPU time of the caller's process.
        server_ns: CPU time of all servers' processes.
    """

    calls: int
    wall_s: float
    caller_ns: int
    server_ns: int

    @property
    def calls_per_s(self) -> float:
        """Throughput."""
        return self.calls / self.wall_s

    @property
    def caller_us(self) -> float:
        """CPU microseconds a call at the caller."""
        return self.caller_ns / self.calls / 1000

    @property
    def server_us(self) -> float:
        """CPU microseconds a call at the servers."""
        return self.server_ns / self.calls / 1000

    @property
    def busy_ratio(self) -> float:
        """How busy the busier side was: near 1 when one of them is what limits the calls."""
        return max(self.caller_ns, self.server_ns) / self.wall_s / 1e9


class Window:
    """One window; workers add to ``calls`` while it is ``on``."""

    def __init__(self, pids: list[int]) -> None:
        """Open it.

        Args:
            pids: the servers' processes.
        """
        self.on = True
        self.calls = 0
        self._pids = pids
        self._began = time.monotonic()
        self._server_ns = self._servers()
        self._caller_ns = cpu_ns(os.getpid())

    def shut(self) -> None:
        """Let no further call begin."""
        self.on = False

    def sample(self) -> Sample:
        """What it showed, once its last call has ended."""
        return Sample(
            calls=self.calls,
            wall_s=time.monotonic() - self._began,
            caller_ns=cpu_ns(os.getpid()) - self._caller_ns,
            server_ns=self._servers() - self._server_ns,
        )

    def _servers(self) -> int:
        return sum(cpu_ns(pid) for pid in self._pids)
