"""One call from its beginning to its end: attempts, retries, deadlines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..errors import (
    AttemptTimeout,
    CallError,
    ConfigError,
    ConnectFailed,
    DeadlineExceeded,
    NoReplicas,
)
from ..policy import Replica, Verdict, attempt_deadline, classify, may_retry
from ..transport import Channel
from ..values import Reply, Request
from ..wire import DRAINING, attempt_bytes, request_prefix
from .called import CalledService
from .means import Means

Answer = TypeVar("Answer")

# Both mesh headers of an answer have names of this length; the others are not looked at.
_MESH_NAME_BYTES = len(b"mesh-load")
# How often a call looks for a replica while all of them are gone for the moment (seconds): half of
# the registry's own grain.
_LOOK_AGAIN_S = 0.05


class PendingCall(Generic[Answer]):
    """One call on its way: at each moment with a replica, waiting to try again, or ended."""

    __slots__ = (
        "_began",
        "_bodiless",
        "_channel",
        "_deadline",
        "_deferred",
        "_last_error",
        "_means",
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
        means: Means,
        service: CalledService,
        request: Request,
        deadline: float,
        settle: Callable[[Reply, int], Answer],
        retryable: bool,
    ) -> None:
        self._means = means
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
        """Begin; the result fires once, with what ``settle`` made or with a `CallError`."""
        means = self._means
        self._deferred: Deferred[Answer] = Deferred(self._cancelled)
        self._began = now = means.clock.seconds()
        self._service.budget.deposit(now)
        self._prefix = request_prefix(self._request, means.caller)
        self._bodiless = self._request.method == b"HEAD"
        if self._deadline <= now:
            self._fail(self._deadline_error("before it was sent"), now)
        else:
            self._try(now)
        return self._deferred

    def _try(self, now: float) -> None:
        """Begin an attempt on a picked replica."""
        means = self._means
        service = self._service
        replica = service.fleet.pick(now, self._tried, may_probe=self._retryable)
        if replica is None:
            if service.may_return(now) and now + _LOOK_AGAIN_S < self._deadline:
                # Nothing is sent by waiting, so any call may: the deadline is the caller's word.
                means.sweep.add(self, now + _LOOK_AGAIN_S)
            else:
                self._fail(self._last_error or self._none_error(), now)
            return
        self._replica = replica
        self.attempts += 1
        service.stats.attempts += 1
        replica.in_flight += 1
        self._number = replica.attempts = replica.attempts + 1
        may_follow = self.attempts < means.settings.attempts
        until = attempt_deadline(
            means.settings.deadline, now, self._deadline, may_follow=may_follow
        )
        means.sweep.add(self, until)
        try:
            self._channel = channel = service.channel(replica)
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
        self._means.sweep.remove(self)
        replica.in_flight -= 1
        return replica

    # What the channel asks and tells.

    def payload(self) -> bytes:
        """The present attempt's request, with the time that is left now."""
        left_s = self._deadline - self._means.clock.seconds()
        return attempt_bytes(self._prefix, self._request.body, left_s, self.attempts)

    def replied(self, reply: Reply) -> None:
        """Take an attempt's reply: settle the call with it, or try again."""
        replica = self._leave()
        now = self._means.clock.seconds()
        fleet = self._service.fleet
        nacked = False
        for name, value in reply.headers:
            if len(name) == _MESH_NAME_BYTES:
                lowered = name.lower()
                if lowered == b"mesh-load":
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
        """Take note that an attempt got no reply: try again, or fail the call."""
        replica = self._leave()
        now = self._means.clock.seconds()
        self._service.fleet.failed(replica, now, self._number, connecting=not error.sent)
        self._tried += (replica,)
        self._last_error = error
        if error.retryable and (self._retryable or not error.sent) and self._retry(now):
            return
        self._fail(error, now)

    # What the sweep tells.

    def expired(self, now: float) -> None:
        """Take note that a wait, an attempt's share or the whole deadline is over."""
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
            self._means.sweep.add(self, self._deadline)
            return
        address = replica.endpoint.address
        if replica not in self._tried:  # else it had its share, and that was counted then
            # Not as a failed connect: it may only have waited for a place in a full pool.
            self._service.fleet.failed(replica, now, self._number)
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
            self._means.sweep.add(self, self._deadline)
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
        means = self._means
        if self.attempts >= means.settings.attempts or now >= self._deadline:
            return None
        wait_s = 0.0
        if self._all_tried():
            # Nobody is left who has not failed this call: give them time to come back.
            mean_s = means.settings.backoff_s * 2 ** (self.attempts - 1)
            wait_s = mean_s * (0.5 + means.random())
        if now + wait_s >= self._deadline or not self._service.budget.withdraw(now):
            return None
        return wait_s

    def _all_tried(self) -> bool:
        return all(replica in self._tried for replica in self._service.fleet.available)

    def _try_after(self, wait_s: float, now: float) -> None:
        if wait_s:
            self._tried = ()
            self._means.sweep.add(self, now + wait_s)
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
        self._means.sweep.remove(self)
        if self._replica is not None and self._channel is not None:
            self._channel.abandon(self)
            self._service.fleet.abandoned(self._leave(), self._number)
        self._service.stats.calls += 1
        self._service.stats.failures["cancelled"] += 1

    def _deadline_error(self, when: str, *, sent: bool = False) -> CallError:
        given_s = max(0.0, self._deadline - self._began)
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
