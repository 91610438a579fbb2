"""One service that is followed in the DNS: asked for again when its records have run out.

The resolver keeps no SRV records, so their time to live is honoured here. While the DNS is lost,
what it said last stays.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.names.dns import DNSQueryTimeoutError
from twisted.names.error import DNSQueryRefusedError, DNSServerError
from twisted.python.failure import Failure

from ...clock import Clock
from ...errors import RegistryError
from ...values import Endpoint
from ..backoff import ReconnectBackoff
from .ask import Answer, ask
from .records import to_endpoints

# Bounds of the wait that a time to live asks for (seconds). Registries in front of a cluster answer
# with 0, and a question a second is as fresh as it has to be. A zone file may say a day, and a new
# replica should not wait for that; with the jitter it stays below the minute after which a registry
# counts as lost.
SHORTEST_S = 1.0
LONGEST_S = 50.0
# Added to the wait at random, as a share: callers that were started together drift apart. Never
# less than the time to live: a cache on the way would give the old answer.
_JITTER = 0.1
# Bounds of the wait after a failure (seconds): a question is one packet.
_RETRY_S = (0.5, 5.0)
# After which a question is given up (seconds): twice through the servers, then TCP.
_ANSWER_S = 10.0

_log = Logger()


class FollowedName:
    """See the module.

    Attributes:
        answered_at: when the DNS answered last, in monotonic seconds; None before.
    """

    def __init__(
        self,
        service: str,
        name: str,
        server: tuple[str, int] | None,
        tell: Callable[[str, Sequence[Endpoint]], None],
        *,
        reactor: Any,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        """Take what is needed; nothing is asked yet.

        Args:
            service: its name.
            name: where its records are.
            server: whom to ask, as (IP address, port); None for the servers of this machine.
            tell: called with the service and its endpoints at each answer.
            reactor: where the sockets live.
            clock: when to ask.
            rng: for the jitter.
        """
        self.answered_at: float | None = None
        self._service = service
        self._name = name
        self._server = server
        self._tell = tell
        self._reactor = reactor
        self._clock = clock
        self._rng = rng
        self._backoff = ReconnectBackoff(rng, *_RETRY_S)
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._lost = False
        self._ended = False
        self._asking: Deferred[Answer] | None = None
        self._waiting: list[Deferred[list[Endpoint]]] = []
        self._next: IDelayedCall | None = None

    def ask(self) -> Deferred[list[Endpoint]]:
        """Ask now; who asks while a question is on its way waits for its answer too.

        Returns:
            Fires with the endpoints; fails with `RegistryError` when there is no answer.
        """
        waiting: Deferred[list[Endpoint]] = Deferred()
        self._waiting.append(waiting)
        if self._asking is None:
            self._begin()
        return waiting

    def end(self) -> None:
        """Ask no more."""
        self._ended = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._asking is not None:
            self._asking.cancel()

    def _begin(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        question = Deferred.fromCoroutine(
            ask(self._name, self._server, self._addresses, self._reactor)
        )
        question.addTimeout(_ANSWER_S, cast("IReactorTime", self._clock))
        self._asking = question
        question.addCallback(self._answered).addErrback(self._failed).addBoth(self._settle)

    def _answered(self, answer: Answer) -> list[Endpoint]:
        if self._lost:
            self._lost = False
            _log.info("the DNS answers for {name} again", name=self._name)
        self._backoff.succeeded()
        self.answered_at = self._clock.seconds()
        self._addresses = answer.addresses
        endpoints = to_endpoints(self._service, answer.targets, answer.addresses)
        self._ask_after(
            min(max(answer.ttl_s, SHORTEST_S), LONGEST_S) * (1 + _JITTER * self._rng.random())
        )
        self._tell(self._service, endpoints)
        return endpoints

    def _failed(self, failure: Failure) -> Failure:
        why = _why(failure)
        if not self._lost and not self._ended:
            self._lost = True
            _log.warn(
                "the DNS does not answer for {name} ({why}); the replicas known last stay",
                name=self._name,
                why=why,
            )
        self._ask_after(self._backoff.failed())
        return Failure(RegistryError(f"the DNS does not answer for {self._name}: {why}"))

    def _settle(self, result: list[Endpoint] | Failure) -> None:
        self._asking = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(result)  # a Failure goes to the errbacks

    def _ask_after(self, wait_s: float) -> None:
        if not self._ended:
            self._next = self._clock.callLater(wait_s, self._begin)


def _why(failure: Failure) -> str:
    """What an error of twisted.names means; many carry a whole message, which nobody can read."""
    if failure.check(DNSServerError):
        return "it says SERVFAIL"
    if failure.check(DNSQueryRefusedError):
        return "it says REFUSED"
    if failure.check(defer.TimeoutError, DNSQueryTimeoutError, defer.CancelledError):
        return "no answer in time"
    if failure.check(OSError):
        return str(failure.value)
    return type(failure.value).__name__
