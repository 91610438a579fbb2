"""A call of which a second attempt goes out before the first has ended; see `policy.hedge` for why.

Two attempts run at most: the call's own, and the hedge. Whichever answers first settles the call,
and the other is taken back, which says nothing bad of its replica. When one ends badly the other
carries the call; if that is the hedge, it takes the place of the call's own attempt, with all that
follows: a share of the deadline, and a retry when it ends badly too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from ..errors import AttemptTimeout, CallError, ConfigError, ConnectFailed, DeadlineExceeded
from ..policy import Replica, Verdict
from ..transport import Channel
from ..values import Reply, Request
from ..wire import attempt_bytes
from .call import Answer, PendingCall
from .called import CalledService
from .endings import misdirected
from .hearing import hear
from .means import Means

# How the decision log names the end of an attempt that was not needed any more.
_TAKEN_BACK = "cancelled"


class Hedge:
    """A second attempt, as its channel has it.

    Attributes:
        replica: who is asked.
        number: the attempt's, there.
        attempted: when it began, in monotonic seconds.
        channel: the way there; None while it is not known.
        carrier: see `balancer.transport.Attempt`.
    """

    __slots__ = ("_call", "_ordinal", "attempted", "carrier", "channel", "number", "replica")

    def __init__(self, call: HedgedCall[Any], replica: Replica, now: float, ordinal: int) -> None:
        """Count it with its replica.

        Args:
            call: whose it is.
            replica: who is asked.
            now: monotonic seconds.
            ordinal: which of the call's attempts it is; 1 for the first.
        """
        self._call = call
        self._ordinal = ordinal
        self.replica = replica
        replica.in_flight += 1
        self.number = replica.attempts = replica.attempts + 1
        self.attempted = now
        self.channel: Channel | None = None
        self.carrier: Any = None

    def payload(self) -> bytes:
        """See `balancer.transport.Attempt`; likewise the next two."""
        return self._call.encode(self._ordinal)

    def replied(self, reply: Reply) -> None:
        """A whole reply came."""
        self._call.hedge_replied(self, reply)

    def failed(self, error: CallError) -> None:
        """No reply will come."""
        self._call.hedge_failed(self, error)


class HedgedCall(PendingCall[Answer]):
    """A call that may be hedged; see the module."""

    __slots__ = (
        "_delay",
        "_hedge",
        "_hedging",
        "_measured_from",
        "_ordinal",
        "_promoted",
        "_until",
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
        super().__init__(means, service, request, deadline, settle, retryable)
        self._delay = service.hedge_delay(request.operation)
        # Runs beside the call's own attempt, or None.
        self._hedge: Hedge | None = None
        # Has taken the place of the call's own attempt, or None.
        self._promoted: Hedge | None = None
        # Whether the sweep is to tell when to hedge, and not when the attempt's share is over.
        self._hedging = False

    def payload(self) -> bytes:
        """See `PendingCall`: but a hedge may have been counted while this waited to be sent."""
        return self.encode(self._ordinal)

    def encode(self, ordinal: int) -> bytes:
        """The request as one of the call's attempts sends it now."""
        left_s = self._deadline - self._means.clock.seconds()
        return attempt_bytes(self._prefix, self._request.body, left_s, ordinal)

    def expired(self, now: float) -> None:
        """See `PendingCall`."""
        if self._hedging:
            self._hedging = False
            if now < self._until:
                self._means.sweep.add(self, self._until)
                self._send_hedge(now)
                return
        hedge = self._hedge
        if hedge is None:
            super().expired(now)
        elif now < self._deadline:
            self._hand_over(hedge, now)
        else:
            if hedge.carrier is not None:
                # The call may have been begun there, also if its own attempt was never sent.
                also = f"{hedge.replica.endpoint.address} was asked as well, and was silent"
                self._setbacks().failed(hedge.replica, AttemptTimeout(also, sent=True))
            self._drop(now, DeadlineExceeded.kind)
            super().expired(now)

    # What the hedge tells.

    def hedge_replied(self, hedge: Hedge, reply: Reply) -> None:
        """Take the hedge's reply: it settles the call, or the call's own attempt carries on."""
        if hedge is self._promoted:
            self.replied(reply)
            return
        self._hedge = None
        replica = hedge.replica
        replica.in_flight -= 1
        now = self._means.clock.seconds()
        fleet = self._service.fleet
        verdict = hear(fleet, replica, hedge.number, reply, now, now - hedge.attempted)
        if self._sampled is not None:
            self._sampled.answered(replica, now, reply.status)
        if verdict is Verdict.MISDIRECTED:
            self._setbacks().failed(replica, misdirected(replica.endpoint.address))
        elif verdict is Verdict.GOOD or verdict is Verdict.REJECTED:
            own = self._abandon()
            fleet.abandoned(own, now, self._number, now - self._attempted)
            if self._sampled is not None:
                self._sampled.failed(own, now, _TAKEN_BACK)
            self._conclude(reply, verdict, now)
        else:
            self._setbacks().replied(replica, reply, verdict, now)

    def hedge_failed(self, hedge: Hedge, error: CallError) -> None:
        """Take note that the hedge got no reply: the call's own attempt carries on."""
        if hedge is self._promoted:
            self.failed(error)
            return
        self._hedge = None
        replica = hedge.replica
        replica.in_flight -= 1
        now = self._means.clock.seconds()
        self._service.fleet.failed(replica, now, hedge.number, connecting=not error.sent)
        self._setbacks().failed(replica, error)
        if self._sampled is not None:
            self._sampled.failed(replica, now, error.kind)

    # How it begins, takes over and ends.

    def _look_after(self, now: float) -> float:
        self._measured_from = now
        self._ordinal = self.attempts
        self._until = until = super()._look_after(now)
        delay_s = self._delay.delay_s(self._request.hedge)
        self._hedging = (
            delay_s is not None
            and now + delay_s < until
            and self.attempts < self._means.settings.attempts
        )
        return now + delay_s if self._hedging and delay_s is not None else until

    def _send_hedge(self, now: float) -> None:
        """Ask another replica as well, if there is one and the budget pays."""
        service = self._service
        replica = self._replica
        assert replica is not None
        asked = (*self._past.tried, replica) if self._past is not None else (replica,)
        if all(other in asked for other in service.fleet.available):
            return
        if service.throttle.share(now) or not service.budget.withdraw(now):
            return
        # No probe: a hedge is for whoever answers soon.
        other = service.fleet.pick(now, asked, may_probe=False, key=self._request.key)
        assert other is not None
        if self._sampled is not None:
            self._sampled.picked(other, asked, now, hedge=True)
        self.attempts += 1
        service.stats.attempts += 1
        service.stats.hedges += 1
        self._hedge = hedge = Hedge(self, other, now, self.attempts)
        try:
            hedge.channel = service.channel(other)
        except ConfigError as error:
            hedge.failed(ConnectFailed(str(error)))
            return
        hedge.channel.start(hedge, bodiless=self._bodiless)

    def _has_another(self, now: float) -> bool:
        if self._hedge is None:
            return False
        self._promote(self._hedge, now)
        return True

    def _hand_over(self, hedge: Hedge, now: float) -> None:
        """End the call's own attempt, which has had its share: the hedge is there to carry on."""
        sent = self._was_sent()
        replica = self._abandon()
        self._service.fleet.failed(replica, now, self._number)
        silent = AttemptTimeout(
            f"{replica.endpoint.address} was silent for its share of the deadline", sent=sent
        )
        self._setbacks().failed(replica, silent)
        if self._sampled is not None:
            self._sampled.failed(replica, now, silent.kind)
        self._promote(hedge, now)

    def _promote(self, hedge: Hedge, now: float) -> None:
        """Put the hedge in the place of the call's own attempt, which has ended."""
        self._hedge = None
        self._promoted = hedge
        self._replica = hedge.replica
        self._channel = hedge.channel
        self._number = hedge.number
        self._attempted = self._measured_from = hedge.attempted
        self._means.sweep.add(self, super()._look_after(now))

    def _was_sent(self) -> bool:
        attempt = self._promoted or self
        return attempt.carrier is not None

    def _leave(self) -> Replica:
        self._promoted = None
        self._hedging = False
        return super()._leave()

    def _abandon(self) -> Replica:
        channel = self._channel
        assert channel is not None
        channel.abandon(self._promoted or self)
        return self._leave()

    def _conclude(self, reply: Reply, verdict: Verdict, now: float) -> None:
        self._drop(now, _TAKEN_BACK)
        if verdict is Verdict.GOOD:
            self._delay.add(now - self._measured_from)
        super()._conclude(reply, verdict, now)

    def _cancelled(self, deferred: Deferred[Answer]) -> None:
        self._drop(self._means.clock.seconds(), _TAKEN_BACK)
        super()._cancelled(deferred)

    def _drop(self, now: float, why: str) -> None:
        """Take the hedge back, if it still runs."""
        hedge = self._hedge
        if hedge is not None:
            self._hedge = None
            replica = hedge.replica
            assert hedge.channel is not None
            hedge.channel.abandon(hedge)
            replica.in_flight -= 1
            waited_s = now - hedge.attempted
            self._service.fleet.abandoned(replica, now, hedge.number, waited_s)
            if self._sampled is not None:
                self._sampled.failed(replica, now, why)
