"""What replicas have asked of one call: not to come back before an instant (``Retry-After``).

A server that says when it will have room knows better than any backoff of ours. Others may be
asked at once; who has asked for time is left alone for so long, by the call that was told. Other
calls are not held up: their share of the refusals is the picks' business, and the throttle's.
"""

from __future__ import annotations

from collections.abc import Iterable

from .replica import Replica


class Pushback:
    """The replicas that have asked one call for time."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        """Begin: none has."""
        self._until: dict[Replica, float] = {}

    def ask(self, replica: Replica, until: float) -> None:
        """Take note that a replica asked to be left alone until an instant."""
        self._until[replica] = until

    def held(self, now: float) -> tuple[Replica, ...]:
        """The replicas that may not be asked now."""
        return tuple(replica for replica, until in self._until.items() if until > now)

    def wait_s(self, replicas: Iterable[Replica], now: float) -> float:
        """How long until one of these may be asked, in seconds; 0.0 when one may be now."""
        least_s = min((self._until.get(replica, now) - now for replica in replicas), default=0.0)
        return max(0.0, least_s)
