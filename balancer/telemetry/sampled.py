"""A sampled call under way: what is to be told of it is gathered here as it happens.

The call loop tells of each attempt's beginning and end, in a line each. How the call ends is heard
from its own Deferred, so that no way of ending can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from ..clock import Clock
from ..errors import CallError, Refused
from ..policy import (
    SIGNALS,
    BalancingSettings,
    Fleet,
    Replica,
    RetryBudget,
    group_name,
    signal_name,
)
from .candidates import look
from .decisions import AttemptEntry, CallEntry, CandidateEntry, Kind
from .reasons import Choice, pick_reason

Result = TypeVar("Result")


class _Attempt:
    """What is known of an attempt at its beginning, and then of its end."""

    __slots__ = (
        "available",
        "began",
        "choice",
        "ended",
        "error",
        "kind",
        "replica",
        "seen",
        "status",
    )

    def __init__(
        self,
        kind: Kind,
        replica: Replica,
        choice: Choice,
        seen: list[CandidateEntry],
        available: int,
        began: float,
    ) -> None:
        self.kind = kind
        self.replica = replica
        self.choice = choice
        self.seen = seen
        self.available = available
        self.began = began
        self.ended: float | None = None
        self.status = 0
        self.error = ""


class SampledCall:
    """See the module."""

    __slots__ = (
        "_add",
        "_attempts",
        "_balancing",
        "_began",
        "_budget",
        "_clock",
        "_deadline",
        "_fleet",
        "_key",
        "_opened",
        "_retryable",
        "_service",
        "_signal",
    )

    def __init__(
        self,
        add: Callable[[CallEntry], None],
        service: str,
        fleet: Fleet,
        budget: RetryBudget,
        balancing: BalancingSettings,
        *,
        clock: Clock,
        opened: float,
        now: float,
        deadline: float,
        retryable: bool,
        key: str,
    ) -> None:
        """Begin with the call.

        Args:
            add: given the entry when the call has ended.
            service: whom it calls.
            fleet: the service's replicas.
            budget: what its retries are paid from.
            balancing: how its replicas are picked.
            clock: monotonic.
            opened: when the log began, by that clock.
            now: when the call begins, by that clock.
            deadline: the call's own, by that clock.
            retryable: whether doing it twice is harmless.
            key: a digest of what its answer depends on, or "".
        """
        self._add = add
        self._service = service
        self._fleet = fleet
        self._budget = budget
        self._balancing = balancing
        self._signal = signal_name(balancing)
        self._clock = clock
        self._opened = opened
        self._began = now
        self._deadline = deadline
        self._retryable = retryable
        self._key = key
        self._attempts: list[_Attempt] = []

    def picked(
        self, replica: Replica, tried: tuple[Replica, ...], now: float, *, hedge: bool = False
    ) -> None:
        """Take note of a pick that the fleet has just made, before the attempt is counted.

        Args:
            replica: what it came to.
            tried: replicas that the call has asked before.
            now: monotonic seconds.
            hedge: whether the last of these is still at it.
        """
        fleet = self._fleet
        # A probe is not picked, but due; and what was compared is then of another call's pick.
        is_probe = replica.probing and replica.attempts == replica.settled
        compared = (replica,) if is_probe else fleet.compared()
        seen = look(fleet, replica, compared, SIGNALS[self._signal], now)
        available = fleet.available
        balancing = self._balancing
        # Another attempt may go to any group, and so may a probe.
        grouped = bool(balancing.versions or balancing.zone) and not tried and not is_probe
        rivals = [other for other in available if other not in tried]
        if grouped:
            name = group_name(replica.endpoint, balancing)
            rivals = [other for other in rivals if group_name(other.endpoint, balancing) == name]
        choice = Choice(
            policy=balancing.policy,
            signal=self._signal,
            group=_group(replica, balancing) if grouped else "",
            compared=[entry for entry in seen if entry.compared],
            keyed=bool(self._key) and not tried,
            tried=[other.endpoint.replica for other in tried],
            hedge=hedge,
            left=len(rivals),
            known=len(fleet.replicas),
            again=bool(self._attempts) and not tried,
            panic=bool(available[0].ejected_until or available[0].draining),
            probe=now - replica.ejected_until if is_probe else None,
            ejected_for=replica.ejected_for,
        )
        kind: Kind = "hedge" if hedge else "retry" if self._attempts else "first"
        self._attempts.append(_Attempt(kind, replica, choice, seen, len(available), now))

    def answered(self, replica: Replica, now: float, status: int) -> None:
        """Take note of an attempt's answer."""
        self._end(replica, now, status, "")

    def failed(self, replica: Replica, now: float, kind: str) -> None:
        """Take note that an attempt got no answer, or was given up.

        Args:
            replica: whose it was.
            now: monotonic seconds.
            kind: of the error.
        """
        self._end(replica, now, 0, kind)

    def closed(self, result: Result) -> Result:
        """Take note of the call's end; a callback and errback that passes on what it gets."""
        now = self._clock.seconds()
        error, status = "", 0
        if isinstance(result, Failure):
            error, status = _kind(result.value), _status(result.value)
        else:
            status = next((each.status for each in reversed(self._attempts) if each.status), 0)
        for attempt in self._attempts:
            if attempt.ended is None:
                # Any other end was told; this one is the caller's doing.
                attempt.ended, attempt.error = now, "cancelled"
        self._add(
            CallEntry(
                at_s=self._since(self._began),
                service=self._service,
                retryable=self._retryable,
                deadline_s=round(self._deadline - self._began, 4),
                key=self._key,
                policy=self._balancing.policy,
                signal=self._signal,
                attempts=[self._attempt_entry(attempt) for attempt in self._attempts],
                latency_s=round(now - self._began, 6),
                status=status,
                error=error,
                balance=round(self._budget.balance(now), 1),
            )
        )
        return result

    def _end(self, replica: Replica, now: float, status: int, error: str) -> None:
        # From the latest: a call may come back to a replica, and two run at once on two of them.
        for attempt in reversed(self._attempts):
            if attempt.replica is replica and attempt.ended is None:
                attempt.ended, attempt.status, attempt.error = now, status, error
                return

    def _attempt_entry(self, attempt: _Attempt) -> AttemptEntry:
        assert attempt.ended is not None
        choice = attempt.choice
        return AttemptEntry(
            at_s=self._since(attempt.began),
            kind=attempt.kind,
            picked=attempt.replica.endpoint.address,
            why=pick_reason(choice),
            known=choice.known,
            available=attempt.available,
            compared=len(choice.compared),
            candidates=attempt.seen,
            latency_s=round(attempt.ended - attempt.began, 6),
            status=attempt.status,
            error=attempt.error,
        )

    def _since(self, instant: float) -> float:
        return round(instant - self._opened, 6)


def _group(replica: Replica, balancing: BalancingSettings) -> str:
    """The group to which a call was given before a replica was picked, in words."""
    parts = []
    endpoint = replica.endpoint
    if endpoint.version in balancing.versions:
        parts.append(f"version {endpoint.version} by its share")
    elif balancing.versions:
        parts.append("the other versions by their share")
    if balancing.zone:
        parts.append("in this zone" if endpoint.zone == balancing.zone else "outside this zone")
    return ", ".join(parts)


def _kind(error: BaseException | None) -> str:
    if isinstance(error, CallError):
        return error.kind
    # Never its message, which may hold data of persons.
    return "cancelled" if isinstance(error, CancelledError) else type(error).__name__


def _status(error: BaseException | None) -> int:
    return error.status if isinstance(error, Refused) else 0
