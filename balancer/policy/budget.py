"""Whether a call may be tried again: the budget that keeps a bad day from becoming an outage.

Retries help while few calls fail and do harm when all do: three attempts a call over three tiers
turn one request into 27. So retries are paid for out of a balance that calls deposit into: at most
a fixed share of the recent calls, plus a small floor so that a quiet caller can retry at all. The
idea and the share of 20 % plus 10 a second follow Finagle's retry budget; the balance fades with
a time constant of 10 s, so that an hour of good weather does not pay for a storm of retries.

Source: Finagle user's guide, "Retries"; amplification figures: Google SRE book, chapter 22.
"""

from __future__ import annotations

from math import exp

from ..config import Settings

# The balance forgets with this time constant (seconds): long enough to bridge a restart of one
# replica, short enough that the share stays a share of *recent* calls.
_FADE_S = 10.0
# How often the fading is worked out (seconds); between, a deposit is one addition.
_STEP_S = 0.25


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
        if self.per_s < 0:
            raise ValueError("per_s must not be below 0")


class RetryBudget:
    """One service's balance of retries in this process.

    Every withdrawal is covered by earlier deposits: over any time since the start the number of
    retries is at most ``ratio * calls + per_s * seconds + per_s``.
    """

    __slots__ = ("_balance", "_per_s", "_ratio", "_refresh_at", "_refreshed_at")

    def __init__(self, settings: BudgetSettings, now: float) -> None:
        """Open with one second's floor, so that the very first failure may be retried.

        Args:
            settings: the share and the floor.
            now: monotonic seconds.
        """
        self._ratio = settings.ratio
        self._per_s = settings.per_s
        self._balance = settings.per_s
        self._refreshed_at = now
        self._refresh_at = now + _STEP_S

    def deposit(self, now: float) -> None:
        """Count a call. Cost: an addition and a comparison."""
        self._balance += self._ratio
        if now >= self._refresh_at:
            self._refresh(now)

    def withdraw(self, now: float) -> bool:
        """Take one retry out.

        Returns:
            Whether there was one to take.
        """
        self._refresh(now)
        # A rounding error must not cost a whole retry.
        if self._balance < 1.0 - 1e-9:
            return False
        self._balance -= 1.0
        return True

    def balance(self, now: float) -> float:
        """How many retries there are now."""
        self._refresh(now)
        return self._balance

    def _refresh(self, now: float) -> None:
        passed_s = now - self._refreshed_at
        if passed_s > 0:
            kept = exp(-passed_s / _FADE_S)
            # The floor's inflow fades too; in closed form it settles at per_s * _FADE_S.
            self._balance = self._balance * kept + self._per_s * _FADE_S * (1 - kept)
            self._refreshed_at = now
            self._refresh_at = now + _STEP_S
