"""When a replica is left out, for how long, and how it comes back.

A replica that fails several calls in a row, or cannot be reached, is ejected: no call goes there.
The time grows with each ejection of the same spell and is jittered, so that many callers do not
come back at one moment. Then it is on probation: one call is its probe; a good answer restores it,
a failure ejects it again. All of it is decided from the caller's own traffic: no health checks,
which would say that a replica can answer health checks.

Defaults: 5 failures in a row is a chance of 1 in 3 million when 5 % of the calls fail at random,
and a replica that fails everything is found out within 5 calls. Two failed connects in a row,
because a refused connect means that no process listens; one may be a full backlog. The first
ejection lasts 1 s: about the time in which a supervisor restarts a process. At most a minute, so
that a recovered replica is not left idle for long.
"""

from __future__ import annotations

from collections.abc import Callable

from ..config import Settings
from .replica import Replica


class EjectionSettings(Settings, frozen=True, kw_only=True):
    """When and for how long a replica is left out.

    Attributes:
        failures: consecutive failed attempts that eject.
        connect_failures: consecutive failed connects that eject.
        base_s: how long the first ejection lasts, in seconds; each next one is twice as long.
        max_s: the longest ejection before the jitter, in seconds.
        jitter: the time is spread evenly by this share to both sides.
    """

    failures: int = 5
    connect_failures: int = 2
    base_s: float = 1.0
    max_s: float = 60.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.failures < 1 or self.connect_failures < 1:
            raise ValueError("failures and connect_failures must be at least 1")
        if not 0 < self.base_s <= self.max_s:
            raise ValueError("base_s must be above 0 and at most max_s")
        if not 0 <= self.jitter < 1:
            raise ValueError("jitter goes from 0 to below 1")


class Ejector:
    """Decides ejections; it writes only the health part of the records that it is given."""

    __slots__ = ("_random", "_settings")

    def __init__(self, settings: EjectionSettings, random: Callable[[], float]) -> None:
        """Hand in the settings and a source of floats in [0, 1)."""
        self._settings = settings
        self._random = random

    def succeeded(self, replica: Replica, now: float) -> bool:
        """Take note of a good answer.

        Returns:
            Whether this restored an ejected replica.
        """
        replica.failures = replica.connect_failures = 0
        if not replica.ejected_until:
            return False
        replica.ejected_until = 0.0
        replica.probing = False
        replica.restored_at = now
        return True

    def failed(self, replica: Replica, *, connecting: bool) -> bool:
        """Take note of a failure.

        Args:
            replica: where it failed.
            connecting: whether it failed before anything was sent.

        Returns:
            Whether the replica should be ejected (again).
        """
        replica.failures += 1
        if connecting:
            replica.connect_failures += 1
        if replica.ejected_until:
            return replica.probing
        return (
            replica.failures >= self._settings.failures
            or replica.connect_failures >= self._settings.connect_failures
        )

    def eject(self, replica: Replica, now: float) -> float:
        """Leave a replica out.

        Returns:
            The instant at which it may be probed, in monotonic seconds.
        """
        settings = self._settings
        # A spell of trouble is over when the replica stayed well for longer than the longest
        # ejection; before that the times go on growing.
        if not replica.ejected_until and now - replica.restored_at > settings.max_s:
            replica.ejections = 0
        duration_s = min(settings.base_s * 2.0 ** min(replica.ejections, 16), settings.max_s)
        duration_s *= 1 + settings.jitter * (2 * self._random() - 1)
        replica.ejections += 1
        replica.probing = False
        replica.settled = replica.attempts
        replica.ejected_until = now + duration_s
        return replica.ejected_until
