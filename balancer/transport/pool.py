"""The connections of this process to one replica.

Last used, first taken: so a burst's extra connections fall idle and are closed, and the ones in use
stay warm. An idle connection is closed before the server would do it (60 s here, 75 s there),
because a request that crosses the server's own closing is lost.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from twisted.internet.interfaces import IReactorCore

from ..clock import Clock
from ..config import Settings
from ..errors import ConnectFailed
from ..values import split_address
from ..wire import WireLimits
from .channel import Attempt
from .connection import Connection
from .optimistic import connect
from .sweep import Sweep


class PoolSettings(Settings, frozen=True, kw_only=True):
    """How connections are kept.

    Attributes:
        connections: the most to one replica; further calls queue until their deadline. 256 carry
            more than a Python replica can answer.
        connect_timeout_s: when a connect has failed, in seconds: on an internal network one that
            takes longer meets a dead machine.
        idle_s: an idle connection is closed after this time at the latest; keep it below the
            server's own.
    """

    connections: int = 256
    connect_timeout_s: float = 1.0
    idle_s: float = 60.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.connections < 1:
            raise ValueError("connections must be at least 1")
        if not (self.connect_timeout_s > 0 and self.idle_s > 0):
            raise ValueError("connect_timeout_s and idle_s must be above 0")


class Pool:
    """A channel over TCP; see the module."""

    def __init__(
        self,
        address: str,
        *,
        reactor: IReactorCore,
        clock: Clock,
        sweep: Sweep,
        settings: PoolSettings,
        limits: WireLimits,
    ) -> None:
        """Begin without a connection.

        Args:
            address: "host:port" of the replica.
            reactor: where the sockets live.
            clock: monotonic.
            sweep: a coarse one, for idle connections.
            settings: how connections are kept.
            limits: what a reply may be.

        Raises:
            ConfigError: the address is not one.
        """
        self._address = address
        self._host, self._port = split_address(address)
        self._reactor = reactor
        self._clock = clock
        self._sweep = sweep
        self._settings = settings
        self._limits = limits
        self._idle: list[Connection] = []
        # Whether the answer has no body, by the attempt that waits; the oldest first.
        self._waiting: OrderedDict[Attempt, bool] = OrderedDict()
        self._connecting = 0
        self._standing: set[Connection] = set()
        self._closed = False
        self.due = 0

    def start(self, attempt: Attempt, *, bodiless: bool = False) -> None:
        """Send on a free connection, a new one, or as soon as one is free."""
        if self._idle:
            self._idle.pop().send(attempt, bodiless=bodiless)
        elif self._closed:
            attempt.failed(ConnectFailed(f"the way to {self._address} is closed"))
        else:
            self._waiting[attempt] = bodiless
            self._connect_if_needed()

    def abandon(self, attempt: Attempt) -> None:
        """Forget an attempt; the connection that carries it ends."""
        connection: Any = attempt.carrier
        if connection is not None:
            attempt.carrier = None
            connection.abandon()
        else:
            self._waiting.pop(attempt, None)

    def close(self) -> None:
        """Take nothing new; connections end as they fall idle."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle = []
        self._sweep.remove(self)

    # What connections tell.

    def made(self, connection: Connection) -> None:
        """Put a new connection to use."""
        self._connecting -= 1
        self._standing.add(connection)
        self.released(connection)

    def released(self, connection: Connection) -> None:
        """Give a free connection to whoever waits, or keep it."""
        if self._waiting:
            attempt, bodiless = self._waiting.popitem(last=False)
            connection.send(attempt, bodiless=bodiless)
        elif self._closed:
            connection.close()
        else:
            self._idle.append(connection)
            if not self.due:
                self._watch_idle()

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._standing.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._connect_if_needed()

    def expired(self, now: float) -> None:
        """Close what lay idle since the last look."""
        kept = []
        for connection in self._idle:
            if connection.used:
                connection.used = False
                kept.append(connection)
            else:
                connection.close()
        self._idle = kept
        if kept:
            self._watch_idle(now)

    def _watch_idle(self, now: float | None = None) -> None:
        # Two looks make the whole time: what was used before the first is closed at the second.
        now = self._clock.seconds() if now is None else now
        self._sweep.add(self, now + self._settings.idle_s / 2)

    def _connect_if_needed(self) -> None:
        room = self._settings.connections - self._connecting - len(self._standing)
        for _ in range(min(room, len(self._waiting) - self._connecting)):
            self._connecting += 1
            connect(
                self._reactor,
                self._host,
                self._port,
                Connection(self, self._address, self._limits),
                self._connect_failed,
                self._settings.connect_timeout_s,
            )

    def _connect_failed(self, why: str) -> None:
        self._connecting -= 1
        if self._waiting:
            attempt, _ = self._waiting.popitem(last=False)
            # Those who waited for a place in the pool want it now.
            self._connect_if_needed()
            attempt.failed(ConnectFailed(f"no connection to {self._address}: {why.rstrip('.')}"))
