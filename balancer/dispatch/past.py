"""What a call has been through: its attempts that have come to nothing.

Most calls have no such past, so there is a record of it only from the first setback on.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import CallError
from ..policy import Pushback, Replica, Verdict, is_refusal
from ..values import Reply
from ..wire import retry_after


class Past:
    """See the module.

    Attributes:
        tried: the replicas that are not to be asked again before the call starts over.
        reply: the latest bad reply, and what it is; None when there was none.
        error: what the latest attempt failed with; None when it is `reply` that came last.
    """

    __slots__ = ("_pushback", "error", "reply", "tried")

    def __init__(self) -> None:
        """Begin: nothing was tried."""
        self.tried: tuple[Replica, ...] = ()
        self.reply: tuple[Reply, Verdict] | None = None
        self.error: CallError | None = None
        self._pushback: Pushback | None = None

    def replied(self, replica: Replica, reply: Reply, verdict: Verdict, now: float) -> None:
        """Take note of a bad reply, and of the time that it may ask for."""
        self.tried += (replica,)
        self.reply = reply, verdict
        self.error = None
        wait_s = retry_after(reply) if is_refusal(verdict, reply.status) else 0.0
        if wait_s:
            self._pushback = self._pushback or Pushback()
            self._pushback.ask(replica, now + wait_s)

    def failed(self, replica: Replica, error: CallError) -> None:
        """Take note of an attempt that got no reply, or is not waited for any more."""
        self.tried += (replica,)
        self.error = error

    def pushback_s(self, replicas: Iterable[Replica], now: float) -> float:
        """How long until one of these will have the call again, in seconds."""
        return self._pushback.wait_s(replicas, now) if self._pushback is not None else 0.0

    def start_over(self, now: float) -> None:
        """Let those be asked again that have not asked for more time."""
        self.tried = self._pushback.held(now) if self._pushback is not None else ()
