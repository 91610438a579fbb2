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

Rows find what fails all the time. Two more kinds of illness have a module each: what is worse than
the others (`balancer.policy.outliers`), and what says nothing at all (`balancer.policy.silence`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from ..config import Settings
from .replica import Reason, Replica


class EjectionSettings(Settings, frozen=True, kw_only=True):
    """When and for how long a replica is left out.

    Attributes:
        failures: consecutive failed attempts that eject.
        connect_failures: consecutive failed connects that eject.
        outlier_share: the share of a replica's recent attempts that ejects it when so many fail, or
            are slow, and the others have less than a third of that; inf for never. A fifth: a
            retry makes up for less, and at most a fifth of any replica's answers takes over five
            times its own mean, whatever kinds of calls are mixed.
        slow_ratio: an answer is slow that takes so many times what is usual in the fleet; inf for
            never. A replica with cold caches takes two or three times as long, and is not ill.
        slow_least_s: and at least so much longer, in seconds: below ten milliseconds it is the
            machine's scheduling that is seen, which ejecting does not mend.
        silence_s: a replica that says nothing for so long (or for nine times the usual latency, if
            that is more), though calls wait for it and it was asked for its load, is frozen; inf
            for never. 0.3 s is longer than a garbage collection or a handler that blocks.
        base_s: how long the first ejection lasts, in seconds; each next one is twice as long.
        max_s: the longest ejection before the jitter, in seconds.
        jitter: the time is spread evenly by this share to both sides.
    """

    failures: int = 5
    connect_failures: int = 2
    outlier_share: float = 0.2
    slow_ratio: float = 5.0
    slow_least_s: float = 0.01
    silence_s: float = 0.3
    base_s: float = 1.0
    max_s: float = 60.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.failures < 1 or self.connect_failures < 1:
            raise ValueError("failures and connect_failures must be at least 1")
        if not (0 < self.outlier_share <= 1 or self.outlier_share == inf):
            raise ValueError("outlier_share goes from above 0 to 1, or is inf for never")
        if not self.slow_ratio > 1:
            raise ValueError("slow_ratio must be above 1")
        if not self.slow_least_s >= 0:
            raise ValueError("slow_least_s must not be below 0")
        if not self.silence_s > 0:
            raise ValueError("silence_s must be above 0")
        if not 0 < self.base_s <= self.max_s:
            raise ValueError("base_s must be above 0 and at most max_s")
        if not 0 <= self.jitter < 1:
            raise ValueError("jitter goes from 0 to below 1")


class Ejector:
    """Decides ejections; it writes only the health part of the records that it is given.

    Attributes:
        settings: when and for how long.
    """

    __slots__ = ("_random", "settings")

    def __init__(self, settings: EjectionSettings, random: Callable[[], float]) -> None:
        """Hand in the settings and a source of floats in [0, 1)."""
        self.settings = settings
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
        # What is known of it is of the time before.
        replica.answers = replica.faults = replica.slow = replica.rejections = 0.0
        replica.silent = 0
        return True

    def failed(self, replica: Replica, *, connecting: bool) -> Reason | None:
        """Take note of a failure.

        Args:
            replica: where it failed.
            connecting: whether it failed before anything was sent.

        Returns:
            Why the replica should be ejected (again), or None.
        """
        replica.failures += 1
        if connecting:
            replica.connect_failures += 1
        if replica.ejected_until and not replica.probing:
            return None
        if replica.connect_failures >= self.settings.connect_failures:
            return "connect"
        if replica.failures >= self.settings.failures or replica.probing:
            return "failures"
        return None

    def eject(self, replica: Replica, now: float, why: Reason) -> float:
        """Leave a replica out.

        Returns:
            The instant at which it may be probed, in monotonic seconds.
        """
        settings = self.settings
        # A spell of trouble is over when the replica stayed well for longer than the longest
        # ejection; before that the times go on growing.
        if not replica.ejected_until:
            replica.ejected_for = why
            if now - replica.restored_at > settings.max_s:
                replica.ejections = 0
        duration_s = min(settings.base_s * 2.0 ** min(replica.ejections, 16), settings.max_s)
        duration_s *= 1 + settings.jitter * (2 * self._random() - 1)
        replica.ejections += 1
        replica.probing = False
        replica.settled = replica.attempts
        replica.ejected_until = now + duration_s
        return replica.ejected_until
