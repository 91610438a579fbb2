"""The typed function behind ``users.fetch(id=...)``.

mypy sees the names and types of the request's fields as the function's own keyword arguments,
because the call's parameter list is the message's constructor.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, Protocol

from .call import Answer, Arguments, Call, check_hedge
from .message import Message

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class CallOptions:
    """What a caller says of one call beyond its message.

    Attributes:
        deadline_s: how long to wait, in seconds; None takes the contract's.
        idempotency_key: for keyed calls; None lets the client make one.
        priority: 0 to 3; None takes the contract's.
        site: the co-branded site it is for; None takes that of the request being handled.
        hedge: the share of the latencies after which a second replica is asked too, 0 for never;
            None takes the contract's.
    """

    __slots__ = ("deadline_s", "hedge", "idempotency_key", "priority", "site")

    def __init__(
        self,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        priority: int | None = None,
        site: str | None = None,
        hedge: float | None = None,
    ) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: a deadline that is not above 0 or never ends, a priority outside 0 to 3, or
                a hedge outside 0.5 to 1.
        """
        if deadline_s is not None and not (deadline_s > 0 and isfinite(deadline_s)):
            raise ValueError(f"deadline_s is {deadline_s}; it must be above 0, and end")
        if priority is not None and not 0 <= priority <= 3:
            raise ValueError(f"priority is {priority}; it goes from 0 to 3")
        if hedge is not None:
            check_hedge(hedge)
        self.deadline_s = deadline_s
        self.idempotency_key = idempotency_key
        self.priority = priority
        self.site = site
        self.hedge = hedge


class Carrier(Protocol):
    """Whatever takes a call to its service and brings the answer back."""

    def carry(
        self, call: Call[Any, Any, Answer], message: Message, options: CallOptions | None
    ) -> Deferred[Answer]:
        """Make one call.

        Args:
            call: the declaration.
            message: an instance of ``call.request``.
            options: what the caller said beyond it.

        Returns:
            Fires with the answer, or fails with a `balancer.errors.CallError`.
        """


class BoundCall(Generic[Arguments, Answer]):
    """A call that knows its way: calling it sends the request."""

    __slots__ = ("_carry", "_options", "call")

    def __init__(
        self,
        call: Call[Arguments, Any, Answer],
        carrier: Carrier,
        options: CallOptions | None = None,
    ) -> None:
        """Bind a declaration to a carrier."""
        self.call = call
        self._carry = carrier.carry
        self._options = options

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Deferred[Answer]:
        """Send the request; the arguments are the fields of the call's request message.

        Returns:
            A Deferred (await it in any Deferred coroutine) of the answer. It fails with a
            `balancer.errors.CallError`: Rejected when the service refused, another when no
            answer came.

        Raises:
            TypeError: a field is missing or unknown.
            ValueError: a field or option cannot be sent: it has no place in a path or a header.
        """
        return self._carry(self.call, self.call.request(*args, **kwargs), self._options)

    def options(
        self,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        priority: int | None = None,
        site: str | None = None,
        hedge: float | None = None,
    ) -> BoundCall[Arguments, Answer]:
        """The same call with options, as in ``users.fetch.options(deadline_s=0.1)(id=...)``.

        What is None stays as it is.

        Args:
            deadline_s: how long to wait for the answer, in seconds.
            idempotency_key: for keyed calls: the same key gives the same effect and answer.
            priority: 0 (dropped last) to 3.
            site: the co-branded site that it is for.
            hedge: the share of the latencies after which a second replica is asked too, such as
                0.95; 0 for never.

        Raises:
            ValueError: an option out of its range, or a hedge for a call that is not idempotent.
        """
        if hedge and not self.call.idempotent:
            raise ValueError(f"{self.call!r} is not idempotent: it cannot be hedged")
        bound: BoundCall[Arguments, Answer] = BoundCall.__new__(BoundCall)
        bound.call = self.call
        bound._carry = self._carry
        before = self._options or CallOptions()
        bound._options = CallOptions(
            deadline_s=before.deadline_s if deadline_s is None else deadline_s,
            idempotency_key=before.idempotency_key if idempotency_key is None else idempotency_key,
            priority=before.priority if priority is None else priority,
            site=before.site if site is None else site,
            hedge=before.hedge if hedge is None else hedge,
        )
        return bound
