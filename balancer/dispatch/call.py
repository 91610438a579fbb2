"""One call from its beginning to its end: attempts, retries, deadlines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..errors import AttemptTimeout, CallError, ConfigError, ConnectFailed, DeadlineExceeded
from ..policy import Replica, Verdict, attempt_deadline, failure_kind, is_refusal, may_retry
from ..transport import Channel
from ..values import Reply, Request
from ..wire import attempt_bytes, request_prefix
from .called import CalledService
from .endings import deadline_error, misdirected, none_error, throttled_error
from .hearing import hear
from .means import Means
from .past import Past

Answer = TypeVar("Answer")

# How often a call looks for a replica while all of them are gone for the moment (seconds): half of
# the registry's own grain.
_LOOK_AGAIN_S = 0.05


class PendingCall(Generic[Answer]):
    """One call on its way: at each moment with a replica, waiting to try again, or ended.

    It is itself the attempt that its channel carries, because a call nearly always has but one.
    """

    __slots__ = (
        "_attempted",
        "_began",
        "_bodiless",
        "_channel",
        "_deadline",
        "_deferred",
        "_means",
        "_number",
        "_past",
        "_prefix",
        "_replica",
        "_request",
        "_retryable",
        "_sampled",
        "_service",
        "_settle",
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
        self._replica: Replica | None = None
        self._channel: Channel | None = None
        self._past: Past | None = None
        self.attempts = 0
        self.carrier: Any = None
        self.due = 0

    def begin(self) -> Deferred[Answer]:
        """Begin; the result fires once, with what ``settle`` made or with a `CallError`."""
        means = self._means
        service = self._service
        self._deferred: Deferred[Answer] = Deferred(self._cancelled)
        self._began = now = means.clock.seconds()
        self._sampled = (
            service.sample(self._deferred, self._request, now, self._deadline, self._retryable)
            if means.decisions.due()
            else None
        )
        throttle = service.throttle
        if throttle.refusing and not throttle.admits(now, means.random()):
            service.stats.throttled += 1
            self._fail(throttled_error(service.name), now)
            return self._deferred
        service.budget.deposit(now)
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
        fleet = service.fleet
        past = self._past
        tried = past.tried if past is not None else ()
        replica = fleet.pick(now, tried, may_probe=self._retryable, key=self._request.key)
        if replica is None:
            if service.may_return(now) and now + _LOOK_AGAIN_S < self._deadline:
                # Nothing is sent by waiting, so any call may: the deadline is the caller's word.
                means.sweep.add(self, now + _LOOK_AGAIN_S)
            else:
                last = past.error if past is not None else None
                self._give_up(last or none_error(service.name, told=service.told), now)
            return
        if self._sampled is not None:
            self._sampled.picked(replica, tried, now)
        self._replica = replica
        self._attempted = now
        self.attempts += 1
        service.stats.attempts += 1
        replica.in_flight += 1
        self._number = replica.attempts = replica.attempts + 1
        means.sweep.add(self, self._look_after(now))
        try:
            self._channel = channel = service.channel(replica)
        except ConfigError as error:
            # No address: a registry is other people's data, and the call goes on elsewhere.
            self.failed(ConnectFailed(str(error)))
            return
        channel.start(self, bodiless=self._bodiless)
        stale = fleet.probe(now)
        if stale is not None:
            service.probe(stale)

    def _look_after(self, now: float) -> float:
        """When `expired` is to look at the attempt that begins now: when its share is over."""
        settings = self._means.settings
        may_follow = self.attempts < settings.attempts
        return attempt_deadline(settings.deadline, now, self._deadline, may_follow=may_follow)

    def _leave(self) -> Replica:
        """End the attempt's stay with its replica."""
        replica = self._replica
        assert replica is not None
        self._replica = None
        self._means.sweep.remove(self)
        replica.in_flight -= 1
        return replica

    def _abandon(self) -> Replica:
        """Take the attempt back from its replica."""
        channel = self._channel
        assert channel is not None
        channel.abandon(self)
        return self._leave()

    # What the channel asks and tells.

    def payload(self) -> bytes:
        """The present attempt's request, with the time that is left now."""
        left_s = self._deadline - self._means.clock.seconds()
        return attempt_bytes(self._prefix, self._request.body, left_s, self.attempts)

    def replied(self, reply: Reply) -> None:
        """Take an attempt's reply: settle the call with it, or try again."""
        replica = self._leave()
        now = self._means.clock.seconds()
        verdict = hear(
            self._service.fleet, replica, self._number, reply, now, now - self._attempted
        )
        if self._sampled is not None:
            self._sampled.answered(replica, now, reply.status)
        if verdict is Verdict.MISDIRECTED:
            self._not_reached(replica, misdirected(replica.endpoint.address), now)
            return
        if verdict is not Verdict.GOOD and verdict is not Verdict.REJECTED:
            self._setbacks().replied(replica, reply, verdict, now)
            if self._has_another(now):
                return
            if may_retry(verdict, reply.status, retryable=self._retryable) and self._retry(now):
                return
        self._conclude(reply, verdict, now)

    def failed(self, error: CallError) -> None:
        """Take note that an attempt got no reply: try again, or fail the call."""
        replica = self._leave()
        now = self._means.clock.seconds()
        self._service.fleet.failed(replica, now, self._number, connecting=not error.sent)
        if self._sampled is not None:
            self._sampled.failed(replica, now, error.kind)
        self._not_reached(replica, error, now)

    def _not_reached(self, replica: Replica, error: CallError, now: float) -> None:
        """Go on after an attempt that got no reply of the service."""
        self._setbacks().failed(replica, error)
        if not error.sent:
            self._service.doubt()
        if self._has_another(now):
            return
        if error.retryable and (self._retryable or not error.sent) and self._retry(now):
            return
        self._give_up(error, now)

    def _setbacks(self) -> Past:
        """The record of what has come to nothing."""
        if self._past is None:
            self._past = Past()
        return self._past

    def _has_another(self, now: float) -> bool:
        """Whether another attempt runs, which carries the call now that this one has ended."""
        return False

    # What the sweep tells.

    def expired(self, now: float) -> None:
        """Take note that a wait, an attempt's share or the whole deadline is over."""
        replica = self._replica
        if replica is None:
            # The wait before another attempt is over.
            if now >= self._deadline:
                self._give_up(self._waited_in_vain(), now)
            else:
                self._try_again(now)
            return
        sent = self._was_sent()
        if sent and not self._retryable and now < self._deadline:
            # It may have begun what must not be done twice, so it gets what is left.
            self._means.sweep.add(self, self._deadline)
            return
        address = replica.endpoint.address
        past = self._setbacks()
        if replica not in past.tried:  # else it had its share, and that was counted then
            # Not as a failed connect: it may only have waited for a place in a full pool.
            self._service.fleet.failed(replica, now, self._number)
        if now >= self._deadline:
            self._abandon()
            if self._sampled is not None:
                self._sampled.failed(replica, now, DeadlineExceeded.kind)
            self._give_up(self._deadline_error(f"while {address} had it", sent=sent), now)
            return
        silent = AttemptTimeout(f"{address} was silent for its share of the deadline", sent=sent)
        past.failed(replica, silent)
        if self._all_tried() or self._afford_retry(now) is None:
            # There is no other, or none may be asked, so this one gets what is left: asked anew,
            # it would only begin from the start.
            self._means.sweep.add(self, self._deadline)
            return
        self._abandon()
        if self._sampled is not None:
            self._sampled.failed(replica, now, silent.kind)
        self._try(now)

    def _waited_in_vain(self) -> CallError:
        """The deadline ended a wait: for another attempt, or for anybody to ask."""
        service = self._service
        if self.attempts:
            return self._deadline_error("while it waited to try again")
        if service.fleet.replicas:
            return self._deadline_error("while it waited for a replica")
        return none_error(service.name, told=service.told)

    def _was_sent(self) -> bool:
        """Whether the attempt that runs has reached its replica."""
        return self.carrier is not None

    # How it goes on and ends.

    def _retry(self, now: float) -> bool:
        """Go on to another attempt, if there may be one."""
        wait_s = self._afford_retry(now)
        if wait_s is None:
            return False
        if wait_s:
            self._means.sweep.add(self, now + wait_s)
        else:
            self._try(now)
        return True

    def _afford_retry(self, now: float) -> float | None:
        """Take another attempt out of the budget.

        Returns:
            How long to wait before it, in seconds, or None when there may be none.
        """
        means = self._means
        service = self._service
        if self.attempts >= means.settings.attempts or now >= self._deadline:
            return None
        wait_s = 0.0
        if self._all_tried():
            if service.throttle.share(now):
                # All of them refuse most of what they get; another replica may still have room,
                # but these will say no again.
                return None
            # Nobody is left who has not failed this call: give them time to come back.
            mean_s = means.settings.backoff_s * 2 ** (self.attempts - 1)
            wait_s = mean_s * (0.5 + means.random())
            if self._past is not None:
                wait_s = max(wait_s, self._past.pushback_s(service.fleet.available, now))
        if now + wait_s >= self._deadline or not service.budget.withdraw(now):
            return None
        return wait_s

    def _all_tried(self) -> bool:
        tried = self._past.tried if self._past is not None else ()
        return all(replica in tried for replica in self._service.fleet.available)

    def _try_again(self, now: float) -> None:
        """Start over after a wait: those that were tried may be asked again."""
        past = self._past
        if past is not None:
            # Whoever did not ask for time may have left meanwhile.
            wait_s = past.pushback_s(self._service.fleet.available, now)
            if wait_s and now + wait_s >= self._deadline:
                self._give_up(self._deadline_error("before any replica wanted it again"), now)
                return
            if wait_s:
                self._means.sweep.add(self, now + wait_s)
                return
            past.start_over(now)
        self._try(now)

    def _conclude(self, reply: Reply, verdict: Verdict, now: float) -> None:
        """End with a reply."""
        service = self._service
        self._end(now, verdict)
        kind = ""
        if verdict is Verdict.GOOD:
            service.throttle.accepted(now)
        else:
            kind = failure_kind(verdict, reply.status)
            if is_refusal(verdict, reply.status):
                service.throttle.refused(now)
            else:
                service.throttle.accepted(now)
        try:
            answer = self._settle(reply, self.attempts)
        except CallError as error:
            error.service = service.name
            error.attempts = self.attempts
            if verdict is not Verdict.REJECTED:
                service.stats.failures[error.kind] += 1
            self._deferred.errback(Failure(error))
        except Exception:  # noqa: BLE001 - whatever it is, the caller must hear of it
            self._deferred.errback(Failure())
        else:
            if kind:  # such as through the agent, to which a 500 is an answer
                service.stats.failures[kind] += 1
            self._deferred.callback(answer)

    def _give_up(self, error: CallError, now: float) -> None:
        """End without a reply to the last attempt.

        What a replica has answered tells more than that there was no other; but an attempt that may
        have begun something must be told, also when one before it was refused.
        """
        past = self._past
        if past is not None and past.reply is not None and not error.sent:
            self._conclude(*past.reply, now)
        else:
            self._fail(error, now)

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
        if self._replica is not None:
            now = self._means.clock.seconds()
            waited_s = now - self._attempted
            self._service.fleet.abandoned(self._abandon(), now, self._number, waited_s)
        self._service.stats.calls += 1
        self._service.stats.failures["cancelled"] += 1

    def _deadline_error(self, when: str, *, sent: bool = False) -> CallError:
        past = self._past
        last = past.error if past is not None else None
        reply = past.reply[0] if past is not None and past.reply is not None else None
        return deadline_error(
            self._service.name,
            max(0.0, self._deadline - self._began),
            when,
            last or reply,
            sent=sent or (last is not None and last.sent),
        )
