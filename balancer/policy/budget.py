"""Whether a call may be tried again: the budget that keeps a bad day from becoming an outage.

Retries help while few calls fail and do harm when all do: three attempts a call over three tiers
turn one request into 27. So of the calls of the last ten seconds a fixed share may be retried, and
a few a second on top, so that a quiet caller can retry at all: Finagle's share of 20 % and 10 a
second. Retries and hedges draw on it together.

It is a window, not a balance that is saved up and drawn down: what good times would have saved, a
storm would spend on top. Over any half minute in which everything fails the attempts are at most
``1.2 * calls + 10`` a second. Ten seconds bridge the restart of one replica, and are short enough
that the share is one of *recent* calls.

Source: Finagle user's guide, "Retries"; amplification figures: Google SRE book, chapter 22.
"""

from __future__ import annotations

from ..config import Settings

_WINDOW_S = 10.0
# The window moves in steps (seconds). Calls of at most the window are counted against retries of at
# least the window, so that no stretch of ten seconds ever holds more than it may.
_STEP_S = 0.5
_STEPS = round(_WINDOW_S / _STEP_S) + 1
# What may be retried in the first instant, as if a second had passed.
_OPENING_S = 1.0
# A rounding error must not cost a whole retry.
_ROUNDING = 1e-9


class BudgetSettings(Settings, frozen=True, kw_only=True):
    """How much may be retried.

    Attributes:
        ratio: retries as a share of calls; 0.2 lets one replica in five die unnoticed.
        per_s: retries a second on top, for callers too quiet for a share to mean anything.
    """

    ratio: float = 0.2
    per_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.ratio <= 1:
            raise ValueError("ratio goes from 0 to 1")
        if not self.per_s >= 0:
            raise ValueError("per_s must not be below 0")


class RetryBudget:
    """What one service's calls in this process may be retried.

    Over any time since the start the number of retries and hedges is at most
    ``ratio * calls + per_s * seconds + per_s``.
    """

    __slots__ = (
        "_began",
        "_calls",
        "_calls_by_step",
        "_per_s",
        "_ratio",
        "_retries",
        "_retries_by_step",
        "_saved",
        "_step",
        "_step_end",
    )

    def __init__(self, settings: BudgetSettings, now: float) -> None:
        """Open with one second's floor, so that the very first failure may be retried.

        Args:
            settings: the share and the floor.
            now: monotonic seconds.
        """
        self._ratio = settings.ratio
        self._per_s = settings.per_s
        self._began = now
        self._calls = self._retries = 0
        self._calls_by_step = [0] * _STEPS
        self._retries_by_step = [0] * _STEPS
        # What small shares of few calls add up to, at most one retry: no window would see it.
        self._saved = 0.0
        self._step = 0
        self._step_end = now + _STEP_S

    def deposit(self, now: float) -> None:
        """Count a call. Cost: three additions and a comparison."""
        if now >= self._step_end:
            self._move(now)
        self._calls += 1
        self._calls_by_step[self._step] += 1
        self._saved += self._ratio

    def withdraw(self, now: float) -> bool:
        """Take one retry out.

        Returns:
            Whether there was one to take.
        """
        if self.balance(now) < 1 - _ROUNDING:
            return False
        self._retries += 1
        self._retries_by_step[self._step] += 1
        self._saved = 0.0
        return True

    def balance(self, now: float) -> float:
        """How many retries there are now."""
        if now >= self._step_end:
            self._move(now)
        floor = self._per_s * min(_WINDOW_S, now - self._began + _OPENING_S)
        left = self._ratio * self._calls + floor - self._retries
        if self._retries:
            # Below nought when the calls that paid for them were longer ago than they.
            return max(0.0, left)
        return max(left, min(self._saved, 1.0))

    def _move(self, now: float) -> None:
        """Forget the steps that the window has left."""
        passed = int((now - self._step_end) / _STEP_S) + 1
        for _ in range(min(passed, _STEPS)):
            self._step = step = (self._step + 1) % _STEPS
            self._retries -= self._retries_by_step[step]
            self._retries_by_step[step] = 0
            oldest = (step + 1) % _STEPS
            self._calls -= self._calls_by_step[oldest]
            self._calls_by_step[oldest] = 0
        # A call is a share of a retry, and so is the time that has passed.
        self._saved = min(1.0, self._saved + self._per_s * passed * _STEP_S)
        self._step_end += passed * _STEP_S
