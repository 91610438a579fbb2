"""How calls are tried: the settings of the call loop and of the policies that it asks."""

from __future__ import annotations

from ..config import Settings
from ..policy import BudgetSettings, DeadlineSettings, EjectionSettings


class DispatchSettings(Settings, frozen=True, kw_only=True):
    """How calls are tried.

    Attributes:
        attempts: the most attempts of one call, whatever the budget holds. 4 reach a good replica
            with 99.99 % when one in ten is bad.
        backoff_s: the mean wait in seconds before a replica is asked a second time by one call; it
            doubles each time.
        budget: how much may be retried.
        ejection: when a replica is left out.
        deadline: how attempts share a deadline.
    """

    attempts: int = 4
    backoff_s: float = 0.025
    budget: BudgetSettings = BudgetSettings()
    ejection: EjectionSettings = EjectionSettings()
    deadline: DeadlineSettings = DeadlineSettings()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if self.backoff_s < 0:
            raise ValueError("backoff_s must not be below 0")
