"""A lock in Redis: a key with a time to live, renewed while it is held."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from ...clock import Clock
from ...errors import RegistryError
from .connect import Lost
from .scripts import HELD, HOLD, RELEASE, TAKE
from .session import Session

# The last part of the time to live, which the holder has to stop in.
_MARGIN = 0.25
# How soon a renewal that got no answer is tried again, as a part of the time to live.
_RETRY = 0.05


async def ask_holder(session: Session, name: str) -> str:
    """Who has a lock now; "" when nobody has.

    Raises:
        Lost: nobody answered.
    """
    value: bytes = await session.run(HELD, name)
    return value.decode("utf-8", "replace").partition(" ")[2]


class RedisLock:
    """See `balancer.discovery.Lock`.

    It is as good as one Redis: when Sentinels make another server the master, and that one had not
    yet heard of the lock, somebody else can take it; this holder is told at its next renewal, at
    most a third of the time to live later. What must never be done twice needs a check of its own
    where it is done (such as a version that is compared when it is written).
    """

    def __init__(
        self,
        name: str,
        holder: str,
        *,
        ttl_s: float,
        clock: Clock,
        rng: random.Random,
        session: Callable[[], Session | None],
        ended: Callable[[RedisLock], None],
    ) -> None:
        """Begin without it; `take` takes it.

        Args:
            name: the lock's.
            holder: for people.
            ttl_s: how long it stays without being renewed, in seconds.
            clock: monotonic.
            rng: for jitter.
            session: gives the connections while they stand.
            ended: called when it is not held any more.
        """
        self.note = ""
        self.lost: Deferred[None] = Deferred()
        self._name = name
        # Two processes of one name must still be told apart.
        self._value = f"{secrets.token_hex(8)} {holder}"
        self._ttl_s = ttl_s
        self._clock = clock
        self._rng = rng
        self._session = session
        self._ended = ended
        self._held = False
        # While its taking is awaited, where it was sent.
        self._asked: Session | None = None
        self._closed = False
        # Until when it is surely ours: its time to live from when the last renewal was *sent*.
        self._until = 0.0
        self._timer: IDelayedCall | None = None

    async def take(self, session: Session) -> bool:
        """Take it, if nobody has it.

        Raises:
            Lost: nobody answered; it may stand in Redis for its time to live.
        """
        until = self._clock.seconds() + self._ttl_s
        self._asked = session
        try:
            reply: bytes = await session.run(TAKE, self._name, self._value, self._ttl_ms)
        finally:
            self._asked = None
        if self._closed:
            raise Lost("it is closed")
        if not reply:
            return False
        self.note = reply[1:].decode("utf-8", "replace")
        self._held = True
        self._until = until
        self._renew_later(self._ttl_s / 3 * self._rng.uniform(0.8, 1.0))
        return True

    def release(self, note: str | None = None) -> Deferred[None]:
        """Give it back; harmless the second time, and when it is lost."""
        if not self._held:
            return succeed(None)
        self._end()
        session = self._session()
        if session is None:
            done: Deferred[None] = Deferred()
            done.errback(self._unreached("it is not connected"))
            return done
        arguments = () if note is None else (note,)
        released = session.run(RELEASE, self._name, self._value, *arguments)
        return released.addCallbacks(lambda _: None, self._not_released)

    def resume(self) -> None:
        """Renew it now: the way to the registry is there again, or its database was emptied."""
        if self._held:
            self._renew()

    def close(self) -> None:
        """Give it back without waiting; also what is being taken."""
        self._closed = True
        if self._asked is not None:
            # Commands are done in their order: this one finds what the one before it took.
            self._asked.run(RELEASE, self._name, self._value).addErrback(lambda _: None)
        self.release().addErrback(lambda _: None)

    @property
    def _ttl_ms(self) -> int:
        return round(self._ttl_s * 1000)

    @property
    def _last(self) -> float:
        """When it has to be given up."""
        return self._until - self._ttl_s * _MARGIN

    def _renew_later(self, wait_s: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        left_s = self._last - self._clock.seconds()
        self._timer = self._clock.callLater(max(0.0, min(wait_s, left_s)), self._renew)

    def _renew(self) -> None:
        now = self._clock.seconds()
        # First of all: this may be the first thing that the process does after it was frozen.
        if now >= self._last:
            self._lose()
            return
        self._renew_later(self._ttl_s * _RETRY)
        session = self._session()
        if session is not None:
            session.run(HOLD, self._name, self._value, self._ttl_ms).addCallbacks(
                self._renewed, lambda failure: failure.trap(Lost) and None, (now + self._ttl_s,)
            )

    def _renewed(self, held: int, until: float) -> None:
        if not self._held:
            return
        if not held:
            self._lose()
            return
        self._until = max(self._until, until)
        if self._clock.seconds() >= self._last:
            self._lose()
        else:
            self._renew_later(self._ttl_s / 3 * self._rng.uniform(0.8, 1.0))

    def _lose(self) -> None:
        self._end()
        self.lost.callback(None)

    def _end(self) -> None:
        self._held = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._ended(self)

    def _not_released(self, failure: Any) -> None:
        failure.trap(Lost)
        raise self._unreached(failure.value) from None

    def _unreached(self, why: object) -> RegistryError:
        return RegistryError(
            f"the lock {self._name} could not be given back ({why}); it goes back by itself within "
            f"{self._ttl_s:.0f} s, without a note"
        )
