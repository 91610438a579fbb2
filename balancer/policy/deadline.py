"""How a call's one deadline is shared out among its attempts.

A replica that has stopped (frozen, partitioned) gives no error, only silence; a call that waits for
it until its deadline is lost. So an attempt that may be repeated gets only a share of what is left:
with 0.4 of the remaining time a call has 60 % left for another replica, and then 36 %. The last
share that would be too short to be useful is not cut off but given whole.
"""

from __future__ import annotations

from ..config import Settings

# Below this (seconds) an attempt is not worth cutting: a busy process may be late by as much.
_SHORTEST_S = 0.05


class DeadlineSettings(Settings, frozen=True, kw_only=True):
    """How attempts share a deadline.

    Attributes:
        attempt_ratio: the share of the remaining time that an attempt gets when another may follow.
    """

    attempt_ratio: float = 0.4

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 < self.attempt_ratio <= 1:
            raise ValueError("attempt_ratio goes from above 0 to 1")


def attempt_deadline(
    settings: DeadlineSettings, now: float, deadline: float, *, may_follow: bool
) -> float:
    """When to give up on one attempt.

    Args:
        settings: the share.
        now: monotonic seconds.
        deadline: the call's own, in monotonic seconds.
        may_follow: whether another attempt could be made after it.

    Returns:
        An instant, never after the deadline.
    """
    if not may_follow:
        return deadline
    share_s = (deadline - now) * settings.attempt_ratio
    return deadline if share_s < _SHORTEST_S else now + share_s
