"""The registry in Redis: what each process keeps there, follows there and asks there.

Once a second a process asks for the database's epoch and for the versions of the services that it
follows. That one small script shows that the server answers, that no message was missed, that
the database was not emptied, and it takes out those whose lease has ended.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall

from ...clock import Clock
from ...errors import RegistryError
from ...values import Endpoint
from ..closed import was_closed
from ..interface import Lease, Listener, Lock
from ..listeners import Listeners
from ..names import check_lock_name, is_name
from .connect import Lost
from .following import Following, decode
from .lease import RedisLease
from .link import Link
from .lock import RedisLock, ask_holder
from .scripts import ALL, BEAT, channel
from .session import Session
from .url import RedisUrl

# The longest time between two heart-beats (seconds): an emptied database has to be noticed, and
# its leases entered again, within two.
_BEAT_S = 1.0
# How long who asks waits for a session (seconds).
_ASK_S = 2.0


class RedisRegistry:
    """See the module and `balancer.discovery.Registry`."""

    def __init__(
        self,
        url: RedisUrl,
        *,
        ttl_s: float,
        reread_s: float,
        reactor: Any,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        """Use a Redis; nothing is connected before the first use.

        Args:
            url: where it is.
            ttl_s: how long leases and locks stay without being renewed, in seconds.
            reread_s: how often all is read anew, in seconds.
            reactor: where the sockets live; None where nothing will be used.
            clock: monotonic.
            rng: for jitter.
        """
        self.url = url.shown
        self._url = url
        self._ttl_s = ttl_s
        self._reread_s = reread_s
        self._clock = clock
        self._rng = rng
        self._link = Link(
            url, reactor=reactor, clock=clock, rng=rng, came=self._came, heard=self._heard
        )
        self._listeners = Listeners()
        self._followings: dict[str, Following] = {}
        self._leases: dict[RedisLease, None] = {}
        self._locks: dict[RedisLock, None] = {}
        self._refused: set[int] = set()
        self._epoch = b""
        self._confirmed_at: float | None = None
        self._next_beat: IDelayedCall | None = None
        self._next_read: IDelayedCall | None = None
        self._closed = False

    def watch(self, service: str, listener: Listener) -> Callable[[], None]:
        """Follow a service."""
        if not is_name(service):
            listener([])
            return lambda: None
        end = self._listeners.add(service, listener, lambda: self._followings.pop(service).close())
        if service not in self._followings:
            following = Following(
                service,
                channel(self._url.prefix, self._url.database, service),
                self._clock,
                self._listeners.tell,
            )
            self._followings[service] = following
            if self._link.session is not None:
                following.resume(self._link.session)
        self._link.open()
        return end

    def endpoints(self) -> Deferred[list[Endpoint]]:
        """Ask for all endpoints of all services."""
        return ensureDeferred(self._ask())

    def announce(self, endpoint: Endpoint) -> Lease:
        """Enter a replica until it withdraws or dies.

        A name that another living process has is not refused, as that is known only later: this
        one is entered when that one's lease has ended, and the log says so.

        Raises:
            RegistryError: a bad name, or this was closed.
        """
        if self._closed:
            raise was_closed(self.url)
        if not is_name(endpoint.service) or not is_name(endpoint.replica):
            raise RegistryError(
                f"replica name {endpoint.replica!r}: use letters, digits, '.', '_' and '-'"
            )
        self._link.open()
        lease = RedisLease(
            endpoint,
            ttl_s=self._ttl_s,
            clock=self._clock,
            rng=self._rng,
            session=lambda: self._link.session,
            left=lambda lease: self._leases.pop(lease, None),
        )
        self._leases[lease] = None
        return lease

    def lock(self, name: str, holder: str) -> Deferred[Lock | None]:
        """Take a lock; see `RedisLock` for what it is worth."""
        return ensureDeferred(self._take(name, holder))

    def holder(self, name: str) -> Deferred[str]:
        """Ask who has a lock now."""
        return ensureDeferred(self._holder(name))

    def age_s(self) -> float | None:
        """Seconds since Redis last said anything."""
        if self._confirmed_at is None:
            return None
        return self._clock.seconds() - self._confirmed_at

    def close(self) -> None:
        """Give up what is held, and end the connections."""
        self._closed = True
        for lock in list(self._locks):
            lock.close()
        for lease in list(self._leases):
            lease.withdraw()
            lease.close()
        self._listeners.clear()
        for following in self._followings.values():
            following.close()
        self._followings.clear()
        self._rest()
        self._link.close()

    async def _ask(self) -> list[Endpoint]:
        session = await self._link.wait(_ASK_S)
        try:
            text: bytes = await session.run(ALL)
        except Lost as error:
            raise self._link.error(error) from None
        self._confirm()
        return decode(text, self._refused)

    async def _take(self, name: str, holder: str) -> Lock | None:
        check_lock_name(name)
        session = await self._link.wait(_ASK_S)
        lock = RedisLock(
            name,
            holder,
            ttl_s=self._ttl_s,
            clock=self._clock,
            rng=self._rng,
            session=lambda: self._link.session,
            ended=lambda lock: self._locks.pop(lock, None),
        )
        # From here on: it may be closed before the answer is there.
        self._locks[lock] = None
        try:
            if await lock.take(session):
                return lock
        except Lost as error:
            self._locks.pop(lock, None)
            raise self._link.error(error) from None
        self._locks.pop(lock, None)
        return None

    async def _holder(self, name: str) -> str:
        check_lock_name(name)
        session = await self._link.wait(_ASK_S)
        try:
            return await ask_holder(session, name)
        except Lost as error:
            raise self._link.error(error) from None

    # What the link tells.

    def _came(self, session: Session) -> None:
        self._confirm()
        self._epoch = session.epoch
        self._resume()
        for following in self._followings.values():
            following.resume(session)
        self._rest()
        self._beat_later()
        self._read_later()

    def _heard(self, channel: str, message: bytes) -> None:
        self._confirm()
        following = self._followings.get(channel.rpartition(":")[2])
        if following is not None:
            following.hear(message)

    def _resume(self) -> None:
        for lease in list(self._leases):
            lease.resume()
        for lock in list(self._locks):
            lock.resume()

    def _confirm(self) -> None:
        self._confirmed_at = self._clock.seconds()

    # What is done now and then.

    def _rest(self) -> None:
        for call in (self._next_beat, self._next_read):
            if call is not None and call.active():
                call.cancel()

    def _beat_later(self) -> None:
        wait_s = min(_BEAT_S, self._ttl_s / 3) * self._rng.uniform(0.7, 1.0)
        self._next_beat = self._clock.callLater(wait_s, self._beat)

    def _beat(self) -> None:
        session = self._link.session
        if session is None:
            return  # `_came` begins anew
        session.ping()
        followed = list(self._followings)
        session.run(BEAT, secrets.token_hex(8), *followed).addCallbacks(
            self._beaten, lambda failure: failure.trap(Lost) and None, (session, followed)
        )

    def _beaten(self, reply: bytes, session: Session, followed: Sequence[str]) -> None:
        if session is not self._link.session:
            return
        self._confirm()
        self._link.lasts()
        epoch, *versions = reply.split(b" ")
        if epoch != self._epoch:
            self._epoch = epoch
            self._resume()
            for following in self._followings.values():
                following.read_anew()
        for service, version in zip(followed, versions, strict=True):
            if service in self._followings:
                self._followings[service].confirm(int(version))
        self._beat_later()

    def _read_later(self) -> None:
        wait_s = self._reread_s * self._rng.uniform(0.8, 1.2)
        self._next_read = self._clock.callLater(wait_s, self._read)

    def _read(self) -> None:
        for following in self._followings.values():
            following.read()
        self._read_later()
