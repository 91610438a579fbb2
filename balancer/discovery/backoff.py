"""How long to wait before a lost registry is asked again.

Each failure doubles the wait, up to a bound, so that a server that comes back is not met by all of
its callers at full speed. Each wait is drawn from the upper half of its range: callers that lost
the registry in the same instant do not come back in the same instant either.
"""

from __future__ import annotations

import random


class ReconnectBackoff:
    """See the module."""

    def __init__(self, rng: random.Random, first_s: float, longest_s: float) -> None:
        """Begin with nothing failed.

        Args:
            rng: for the jitter.
            first_s: the bound of the first wait, in seconds.
            longest_s: the bound of every wait, in seconds.
        """
        self._rng = rng
        self._first_s = first_s
        self._longest_s = longest_s
        self._bound_s = first_s

    def failed(self) -> float:
        """Count a failure.

        Returns:
            How long to wait now, in seconds.
        """
        wait_s = self._rng.uniform(self._bound_s / 2, self._bound_s)
        self._bound_s = min(self._bound_s * 2, self._longest_s)
        return wait_s

    def succeeded(self) -> None:
        """Begin anew: the next failure is a first one."""
        self._bound_s = self._first_s
