"""A replica's own entry in Redis: it ends by itself unless it is renewed."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ...clock import Clock
from ...values import Endpoint
from .connect import Lost
from .scripts import KEEP, LEAVE
from .session import Session

_log = Logger()


class RedisLease:
    """See `balancer.discovery.Lease`.

    One script enters, renews and changes, whichever it takes, and it is run at each third of the
    time to live. So whatever happened to the entry meanwhile (a command that came late, a database
    that was emptied, a server that went back to an older state) is mended by the next one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        ttl_s: float,
        clock: Clock,
        rng: random.Random,
        session: Callable[[], Session | None],
        left: Callable[[RedisLease], None],
    ) -> None:
        """Begin; it is entered at once if there is a session, otherwise by `resume`.

        Args:
            endpoint: what to tell.
            ttl_s: how long it stays without being renewed, in seconds.
            clock: when to renew it.
            rng: for jitter.
            session: gives the connections while they stand.
            left: called when there is nothing more to do for it.
        """
        self._endpoint = endpoint
        self._ttl_s = ttl_s
        self._clock = clock
        self._rng = rng
        self._session = session
        self._left = left
        # Another process of that name has another one.
        self._owner = secrets.token_hex(8)
        self._held = True
        self._taken = False
        self._timer: IDelayedCall | None = None
        self.resume()

    def change(self, endpoint: Endpoint) -> None:
        """Tell something else of the replica from now on; see `Lease`."""
        if self._held:
            self._endpoint = endpoint
            self.resume()

    def withdraw(self) -> None:
        """Leave; harmless the second time."""
        if self._held:
            self._held = False
            # While the registry is lost it is tried for as long as the entry can be there.
            self._again(self._ttl_s, self._end)
            self.resume()

    def resume(self) -> None:
        """Say now what is to stand in the registry: it may not stand there any more."""
        session = self._session()
        if not self._held:
            if session is not None:
                arguments = (self._endpoint.service, self._endpoint.replica, self._owner)
                session.run(LEAVE, *arguments).addCallbacks(lambda _: self._end(), _trap)
            return
        self._renew_later()
        if session is not None:
            session.run(
                KEEP,
                self._endpoint.service,
                self._endpoint.replica,
                self._owner,
                round(self._ttl_s * 1000),
                msgspec.json.encode(self._endpoint),
            ).addCallbacks(self._kept, _trap)

    def close(self) -> None:
        """Do nothing more for it."""
        self._held = False
        self._cancel()

    def _renew_later(self) -> None:
        self._again(self._ttl_s / 3 * self._rng.uniform(0.8, 1.0), self.resume)

    def _kept(self, taken_ms: int) -> None:
        if not taken_ms or not self._held:
            self._taken = False
            return
        if not self._taken:
            self._taken = True
            _log.warn(
                "another process is announced as {replica}; this one is entered when that lease "
                "has ended, in {seconds:.1f} s unless that one lives: then give this one another "
                "name with --name",
                replica=self._endpoint.replica,
                seconds=taken_ms / 1000,
            )
        self._again(min(taken_ms / 1000 + 0.01, self._ttl_s / 3), self.resume)

    def _again(self, wait_s: float, function: Callable[[], None]) -> None:
        self._cancel()
        self._timer = self._clock.callLater(wait_s, function)

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _end(self) -> None:
        self._cancel()
        self._left(self)


def _trap(failure: Any) -> None:
    failure.trap(Lost)  # the link has said so, and finds another session
