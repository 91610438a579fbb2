"""The way to Redis for as long as the process wants it: lost, found again, said once each.

After a loss it is tried again with waits that double up to a second, drawn at random so that a
thousand callers do not come back at once. The log gets one line when the way is lost, one when a
server is there but refuses us, and one when it is found again, however long that takes.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...clock import Clock
from ...errors import RegistryError
from ..backoff import ReconnectBackoff
from ..closed import was_closed
from .connect import Lost
from .sentinel import agreed, ask_sentinels, choose
from .session import Session
from .url import RedisUrl

# The bounds of the waits between attempts (seconds). The longest, and what an attempt takes, must
# leave room in the two seconds in which everything is to be there again.
_FIRST_S = 0.1
_LONGEST_S = 1.0

# How often Sentinels are asked whether the master is still the same (seconds). One that dies is
# noticed at once; one that was replaced while it lives goes on answering for ten seconds or more.
_CHECK_S = 5.0

_log = Logger()


class Link:
    """See the module.

    Attributes:
        session: the connections while they stand, otherwise None.
    """

    def __init__(
        self,
        url: RedisUrl,
        *,
        reactor: Any,
        clock: Clock,
        rng: random.Random,
        came: Callable[[Session], None],
        heard: Callable[[str, bytes], None],
    ) -> None:
        """Begin without a connection; `open` begins to try.

        Args:
            url: where to.
            reactor: where the sockets live.
            clock: monotonic.
            rng: for jitter.
            came: called with each new session.
            heard: called with the channel and each message.
        """
        self.session: Session | None = None
        self._url = url
        self._reactor = reactor
        self._clock = clock
        self._came = came
        self._heard = heard
        self._rng = rng
        self._backoff = ReconnectBackoff(rng, _FIRST_S, _LONGEST_S)
        self._attempt: Deferred[Session] | None = None
        self._retry: IDelayedCall | None = None
        self._check: IDelayedCall | None = None
        self._checking: Deferred[None] | None = None
        self._waiting: list[Deferred[Session]] = []
        self._lost_at: float | None = None
        self._said: set[bool] = set()
        # Of the server that was of no use last; another is tried first, if a Sentinel names one.
        self._useless: tuple[str, int] | None = None
        self._why = Lost("it has not answered yet")
        self._closed = False

    def open(self) -> None:
        """Begin to try, unless that has begun."""
        if not (self.session or self._attempt or self._retry or self._closed):
            self._try()

    def wait(self, timeout_s: float) -> Deferred[Session]:
        """Wait until there is a session.

        Args:
            timeout_s: for how long.

        Returns:
            Fires with it; fails with `RegistryError`, which says why there is none.
        """
        self.open()
        waiting: Deferred[Session] = Deferred()
        if self._closed:
            waiting.errback(self.error())
        elif self.session is not None:
            waiting.callback(self.session)
        else:
            self._waiting.append(waiting)
            waiting.addTimeout(timeout_s, cast("IReactorTime", self._clock))
            waiting.addErrback(self._waited, waiting)
        return waiting

    def lasts(self) -> None:
        """Take note that the session has been of use for a while, and not only let us in."""
        self._backoff.succeeded()
        if self._lost_at is not None:
            _log.info(
                "the registry {url} is back after {seconds:.1f} s",
                url=self._url.shown,
                seconds=self._clock.seconds() - self._lost_at,
            )
        self._lost_at = None
        self._said.clear()

    def error(self, why: Lost | None = None) -> RegistryError:
        """What to tell who needs it now.

        Args:
            why: what has just come up; None for what came up last.
        """
        if self._closed:
            return was_closed(self._url.shown)
        why = why or self._why
        if why.refused:
            return RegistryError(f"the registry {self._url.shown} refuses us ({why})")
        return RegistryError(
            f"the registry {self._url.shown} does not answer ({why}); "
            "is it running, and is [registry] url right?"
        )

    def close(self) -> None:
        """End it; whoever waits is told."""
        self._closed = True
        for call in (self._retry, self._check):
            if call is not None and call.active():
                call.cancel()
        for doing in (self._attempt, self._checking):
            if doing is not None:
                doing.cancel()
        if self.session is not None:
            self.session.close()
            self.session = None
        for waiting in self._waiting[:]:
            waiting.cancel()

    def _waited(self, failure: Failure, waiting: Deferred[Session]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        raise self.error() from None

    def _try(self) -> None:
        self._retry = None
        attempt = self._attempt = ensureDeferred(self._connect())
        attempt.addCallbacks(self._connected, self._failed)

    async def _connect(self) -> Session:
        address = self._url.hosts[0]
        if self._url.master:
            named = await ask_sentinels(self._reactor, self._clock, self._url)
            address = choose(named, self._useless)
        session = Session(self._reactor, address, self._url, self._heard)
        self._useless = address  # until it has let us in
        await session.open(secrets.token_hex(8))
        self._useless = None
        return session

    def _connected(self, session: Session) -> None:
        self._attempt = None
        self.session = session
        session.lost.addCallback(self._lost, session.address)
        self._check_later(session)
        waiting, self._waiting = self._waiting, []
        self._came(session)
        for each in waiting:
            each.callback(session)

    def _check_later(self, session: Session) -> None:
        if self._url.master:
            wait_s = _CHECK_S * self._rng.uniform(0.8, 1.0)
            self._check = self._clock.callLater(wait_s, self._check_master, session)

    def _check_master(self, session: Session) -> None:
        if session is not self.session:
            return
        asking = ensureDeferred(ask_sentinels(self._reactor, self._clock, self._url))
        self._checking = asking.addCallbacks(self._checked, self._unchecked, (session,))
        self._check_later(session)

    def _checked(self, named: list[tuple[str, int]], session: Session) -> None:
        # One that was cut off is no reason to leave a server that answers.
        address = agreed(named, len(self._url.hosts))
        if address is not None:
            session.is_at(address)

    def _unchecked(self, failure: Failure) -> None:
        # That no Sentinel answers is no reason to leave a server that does.
        failure.trap(Lost, CancelledError)

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        if not self._closed:
            self._again(failure.value)

    def _lost(self, why: Lost, address: tuple[str, int]) -> None:
        self.session = None
        if why.refused:
            self._useless = address
        if not self._closed:
            self._again(why)

    def _again(self, why: BaseException | None) -> None:
        self._why = why if isinstance(why, Lost) else Lost(str(why))
        if self._lost_at is None:
            self._lost_at = self._clock.seconds()
        refused = self._why.refused
        if refused not in self._said:
            self._said.add(refused)
            _log.warn(
                "the registry {url} {what} ({why}); what was known stays, and it is tried until "
                "it can be used",
                url=self._url.shown,
                what="refuses us" if refused else "is lost",
                why=str(self._why),
            )
        self._retry = self._clock.callLater(self._backoff.failed(), self._try)
