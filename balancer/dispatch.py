"""The call loop: the one place that joins decisions and I/O.

A call has one deadline. Until then it is tried on a replica that the policies pick, and on another
if that one fails in a way that another might not, as long as the budget pays. Everything that it
needs comes in through the constructor, so the same loop runs on sockets and in virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .clock import Clock
from .config import Settings
from .discovery import Registry
from .errors import (
    AttemptTimeout,
    CallError,
    ConfigError,
    ConnectFailed,
    DeadlineExceeded,
    NoReplicas,
)
from .policy import (
    BudgetSettings,
    DeadlineSettings,
    EjectionSettings,
    Ejector,
    Fleet,
    Replica,
    RetryBudget,
    TwoChoices,
    Verdict,
    attempt_deadline,
    classify,
    may_retry,
)
from .telemetry import CallStats
from .transport import Channel, Sweep
from .values import Endpoint, Reply, Request
from .wire import DRAINING, attempt_bytes, request_prefix

Answer = TypeVar("Answer")

# Both mesh headers of an answer have names of this length; the others are not looked at.
_MESH_NAME_BYTES = len(b"mesh-load")


class DispatchSettings(Settings, frozen=True, kw_only=True):
    """How calls are tried.

    Attributes:
        attempts: the most attempts of one call, whatever the budget holds. 4 reach a good replica
            with 99.99 % when one in ten is bad.
        backoff_s: the mean wait in seconds before a replica is asked a second time by one call; it
            doubles each time.
        budget: how much may be retried.
        ejection: when a replica is left out.
        deadline: how attempts share a deadline.
    """

    attempts: int = 4
    backoff_s: float = 0.025
    budget: BudgetSettings = BudgetSettings()
    ejection: EjectionSettings = EjectionSettings()
    deadline: DeadlineSettings = DeadlineSettings()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if self.backoff_s < 0:
            raise ValueError("backoff_s must not be below 0")


class _Service:
    """What is kept for one service that this process calls."""

    __slots__ = ("budget", "channels", "fleet", "name", "stats")

    def __init__(self, name: str, fleet: Fleet, budget: RetryBudget, stats: CallStats) -> None:
        self.name = name
        self.fleet = fleet
        self.budget = budget
        self.stats = stats
        self.channels: dict[Replica, Channel] = {}


class Dispatcher:
    """Makes calls; see the module."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        registry: Registry,
        open_channel: Callable[[str], Channel],
        sweep: Sweep,
        settings: DispatchSettings,
        caller: str,
    ) -> None:
        """Take everything that calls need.

        Args:
            clock: monotonic.
            rng: for picks and jitter.
            registry: tells of replicas.
            open_channel: makes the way to an address ("host:port").
            sweep: tells of deadlines; it uses the same clock.
            settings: how calls are tried.
            caller: this process's name in ``Mesh-Caller``.
        """
        self.clock = clock
        self.sweep = sweep
        self.settings = settings
        self.caller = caller.encode("ascii", "replace")
        self.random = rng.random
        self._registry = registry
        self._open_channel = open_channel
        self._services: dict[str, _Service] = {}

    def call(
        self,
        request: Request,
        deadline: float,
        settle: Callable[[Reply, int], Answer],
        *,
        retryable: bool,
    ) -> Deferred[Answer]:
        """Make one call.

        Args:
            request: what to ask, and of which service.
            deadline: when the caller stops waiting, in the clock's seconds.
            settle: makes the result of the final reply, good or bad, and the number of attempts;
                what it raises is the call's failure.
            retryable: whether doing it twice is harmless.

        Returns:
            What ``settle`` made of it, or a `CallError`. Cancelling it gives the call up.
        """
        service = self._services.get(request.service)
        if service is None:
            service = self._follow(request.service)
        return _Call(self, service, request, deadline, settle, retryable).begin()

    def stats(self) -> list[CallStats]:
        """What was counted, a service each."""
        return [service.stats for service in self._services.values()]

    def fleet(self, name: str) -> Fleet:
        """The replicas of a service as this process sees them."""
        service = self._services.get(name) or self._follow(name)
        return service.fleet

    def close(self) -> None:
        """Close all ways to replicas; running calls may still end."""
        for service in self._services.values():
            for channel in service.channels.values():
                channel.close()

    def _follow(self, name: str) -> _Service:
        settings = self.settings
        stats = CallStats(name)

        def on_health(_replica: Replica, change: str) -> None:
            stats.health[change] += 1

        fleet = Fleet(TwoChoices(self.random), Ejector(settings.ejection, self.random), on_health)
        budget = RetryBudget(settings.budget, self.clock.seconds())
        service = self._services[name] = _Service(name, fleet, budget, stats)

        def update(endpoints: Any) -> None:
            for replica in fleet.update(endpoints):
                channel = service.channels.pop(replica, None)
                if channel is not None:
                    channel.close()

        self._registry.watch(name, update)
        return service

    def channel(self, service: _Service, replica: Replica) -> Channel:
        """The way to a replica, opened at its first use."""
        channel = service.channels.get(replica)
        if channel is None:
            endpoint: Endpoint = replica.endpoint
            channel = service.channels[replica] = self._open_channel(endpoint.address)
        return channel


class _Call(Generic[Answer]):
    """One call on its way: at each moment with a replica, waiting to try again, or ended."""

    __slots__ = (
        "_began",
        "_bodiless",
        "_channel",
        "_deadline",
        "_deferred",
        "_dispatcher",
        "_last_error",
        "_number",
        "_prefix",
        "_replica",
        "_request",
        "_retryable",
        "_service",
        "_settle",
        "_tried",
        "attempts",
        "carrier",
        "due",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        service: _Service,
        request: Request,
        deadline: float,
        settle: Callable[[Reply, int], Answer],
        retryable: bool,
    ) -> None:
        self._dispatcher = dispatcher
        self._service = service
        self._request = request
        self._deadline = deadline
        self._settle = settle
        self._retryable = retryable
        self._tried: tuple[Replica, ...] = ()
        self._replica: Replica | None = None
        self._channel: Channel | None = None
        self._last_error: CallError | None = None
        self.attempts = 0
        self.carrier: Any = None
        self.due = 0

    def begin(self) -> Deferred[Answer]:
        dispatcher = self._dispatcher
        self._deferred: Deferred[Answer] = Deferred(self._cancelled)
        self._began = now = dispatcher.clock.seconds()
        self._service.budget.deposit(now)
        self._prefix = request_prefix(self._request, dispatcher.caller)
        self._bodiless = self._request.method == b"HEAD"
        if self._deadline <= now:
            self._fail(self._deadline_error("before it was sent"), now)
        else:
            self._try(now)
        return self._deferred

    def _try(self, now: float) -> None:
        """Begin an attempt on a picked replica."""
        dispatcher = self._dispatcher
        service = self._service
        replica = service.fleet.pick(now, self._tried, may_probe=self._retryable)
        if replica is None:
            self._fail(self._last_error or self._none_error(), now)
            return
        self._replica = replica
        self.attempts += 1
        service.stats.attempts += 1
        replica.in_flight += 1
        self._number = replica.attempts = replica.attempts + 1
        may_follow = self.attempts < dispatcher.settings.attempts
        until = attempt_deadline(
            dispatcher.settings.deadline, now, self._deadline, may_follow=may_follow
        )
        dispatcher.sweep.add(self, until)
        try:
            self._channel = channel = dispatcher.channel(service, replica)
        except ConfigError as error:
            # No address: a registry is other people's data, and the call goes on elsewhere.
            self.failed(ConnectFailed(str(error)))
            return
        channel.start(self, bodiless=self._bodiless)

    def _leave(self) -> Replica:
        """End the attempt's stay with its replica."""
        replica = self._replica
        assert replica is not None
        self._replica = None
        self._dispatcher.sweep.remove(self)
        replica.in_flight -= 1
        return replica

    # What the channel asks and tells.

    def payload(self) -> bytes:
        left_s = self._deadline - self._dispatcher.clock.seconds()
        return attempt_bytes(self._prefix, self._request.body, left_s, self.attempts)

    def replied(self, reply: Reply) -> None:
        replica = self._leave()
        now = self._dispatcher.clock.seconds()
        fleet = self._service.fleet
        nacked = False
        for name, value in reply.headers:
            if len(name) == _MESH_NAME_BYTES:
                lowered = name.lower()
                if lowered == b"mesh-load":
                    replica.load = value
                    if value.endswith(DRAINING):
                        fleet.drained(replica, now, self._number)
                elif lowered == b"mesh-nack":
                    nacked = True
        verdict = classify(reply.status, nacked=nacked)
        if verdict is Verdict.GOOD or verdict is Verdict.REJECTED:
            fleet.succeeded(replica, now, self._number)
        elif verdict is Verdict.FAILED:
            fleet.failed(replica, now, self._number)
        else:
            fleet.refused(replica, now, self._number)
        if verdict is not Verdict.GOOD and may_retry(
            verdict, reply.status, retryable=self._retryable
        ):
            self._tried += (replica,)
            if self._retry(now):
                return
        self._end(now, verdict)
        try:
            answer = self._settle(reply, self.attempts)
        except CallError as error:
            error.service = self._service.name
            error.attempts = self.attempts
            if verdict is not Verdict.REJECTED:
                self._service.stats.failures[error.kind] += 1
            self._deferred.errback(Failure(error))
        except Exception:  # noqa: BLE001 - whatever it is, the caller must hear of it
            self._deferred.errback(Failure())
        else:
            self._deferred.callback(answer)

    def failed(self, error: CallError) -> None:
        replica = self._leave()
        now = self._dispatcher.clock.seconds()
        self._service.fleet.failed(replica, now, self._number, connecting=not error.sent)
        self._tried += (replica,)
        self._last_error = error
        if error.retryable and (self._retryable or not error.sent) and self._retry(now):
            return
        self._fail(error, now)

    # What the sweep tells.

    def expired(self, now: float) -> None:
        replica = self._replica
        if replica is None:
            # The wait before another attempt is over.
            if now >= self._deadline:
                self._fail(self._deadline_error("while it waited to try again"), now)
            else:
                self._try(now)
            return
        channel = self._channel
        assert channel is not None
        sent = self.carrier is not None
        if sent and not self._retryable and now < self._deadline:
            # It may have begun what must not be done twice, so it gets what is left.
            self._dispatcher.sweep.add(self, self._deadline)
            return
        address = replica.endpoint.address
        if replica not in self._tried:  # else it had its share, and that was counted then
            self._service.fleet.failed(replica, now, self._number, connecting=not sent)
            self._tried += (replica,)
        if now >= self._deadline:
            channel.abandon(self)
            self._leave()
            self._fail(self._deadline_error(f"while {address} had it", sent=sent), now)
            return
        self._last_error = AttemptTimeout(
            f"{address} was silent for its share of the deadline", sent=sent
        )
        if self._all_tried() or self._afford_retry(now) is None:
            # There is no other, or none may be asked, so this one gets what is left: asked anew,
            # it would only begin from the start.
            self._dispatcher.sweep.add(self, self._deadline)
            return
        channel.abandon(self)
        self._leave()
        self._try(now)

    # How it goes on and ends.

    def _retry(self, now: float) -> bool:
        """Go on to another attempt, if there may be one."""
        wait_s = self._afford_retry(now)
        if wait_s is None:
            return False
        self._try_after(wait_s, now)
        return True

    def _afford_retry(self, now: float) -> float | None:
        """Take another attempt out of the budget.

        Returns:
            How long to wait before it, in seconds, or None when there may be none.
        """
        dispatcher = self._dispatcher
        if self.attempts >= dispatcher.settings.attempts or now >= self._deadline:
            return None
        wait_s = 0.0
        if self._all_tried():
            # Nobody is left who has not failed this call: give them time to come back.
            mean_s = dispatcher.settings.backoff_s * 2 ** (self.attempts - 1)
            wait_s = mean_s * (0.5 + dispatcher.random())
        if now + wait_s >= self._deadline or not self._service.budget.withdraw(now):
            return None
        return wait_s

    def _all_tried(self) -> bool:
        return all(replica in self._tried for replica in self._service.fleet.available)

    def _try_after(self, wait_s: float, now: float) -> None:
        if wait_s:
            self._tried = ()
            self._dispatcher.sweep.add(self, now + wait_s)
        else:
            self._try(now)

    def _end(self, now: float, verdict: Verdict) -> None:
        stats = self._service.stats
        stats.calls += 1
        stats.latency_s.add(now - self._began)
        if verdict is Verdict.REJECTED:
            stats.rejected += 1

    def _fail(self, error: CallError, now: float) -> None:
        error.service = self._service.name
        error.attempts = self.attempts
        self._end(now, Verdict.FAILED)
        self._service.stats.failures[error.kind] += 1
        self._deferred.errback(Failure(error))

    def _cancelled(self, _deferred: Deferred[Answer]) -> None:
        self._dispatcher.sweep.remove(self)
        if self._replica is not None and self._channel is not None:
            self._channel.abandon(self)
            self._service.fleet.abandoned(self._leave(), self._number)
        self._service.stats.calls += 1
        self._service.stats.failures["cancelled"] += 1

    def _deadline_error(self, when: str, *, sent: bool = False) -> CallError:
        given_s = self._deadline - self._began
        last = self._last_error
        before = f"; before that: {last}" if last is not None else ""
        return DeadlineExceeded(
            f"{self._service.name}: the deadline of {given_s:.3f} s ran out {when}{before}",
            sent=sent or (last is not None and last.sent),
        )

    def _none_error(self) -> CallError:
        name = self._service.name
        return NoReplicas(
            f"no replica of {name} is announced; start one (twistd mesh-{name}, or txmesh up), "
            "or check [registry] url"
        )
