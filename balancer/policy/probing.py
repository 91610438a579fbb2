"""When to ask a replica for its load, because no answer has told of any lately.

Reports ride on every answer and cost nothing; a caller that sends little gets few. Then a probe,
which is a request that the replica answers at once with its load and does nothing else for, brings
one more. Probes are sent only when the view is stale: when the second newest report is older than
the time that a call takes, for within that time loads change little. A caller with many calls
under way never gets there. At most one for every two calls: more gains little, because the answers
themselves bring one report a call (laboratory: antagonists, docs/reference/balancing-report.md).
And none when a call is alone in its second: the report would be old before the next.

Source of the idea: Prequal (NSDI 2024), which probes three times for each query.
"""

from __future__ import annotations

# Probes for each call, at most, while the view is stale.
_RATIO = 0.5
# Calls further apart than this (seconds) gain nothing from a report between them.
_NEXT_CALL_S = 1.0
# While no latency is known (seconds): a common internal call.
_STALE_S = 0.01


class Prober:
    """Decides when to probe; which replica is the picker's business.

    Attributes:
        stale_s: the view is stale when the second newest report is older, in seconds.
    """

    __slots__ = ("_before", "_called_at", "_credit", "_newest", "stale_s")

    def __init__(self) -> None:
        """Begin: nothing was heard."""
        self._newest = self._before = 0.0
        self._called_at = float("-inf")
        self._credit = 0.0
        self.stale_s = _STALE_S

    def heard(self, now: float) -> None:
        """Take note of a report."""
        self._before = self._newest
        self._newest = now

    def due(self, now: float) -> bool:
        """Whether to probe, with the call that is being made now.

        Cost: a comparison while the view is fresh.
        """
        if now - self._before < self.stale_s:
            self._called_at = now
            return False
        alone = now - self._called_at > _NEXT_CALL_S
        self._called_at = now
        if alone or not self._newest:
            return False
        self._credit += _RATIO
        if self._credit < 1:
            return False
        self._credit -= 1
        return True
