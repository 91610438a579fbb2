"""How calls are tried: the settings of the call loop and of the policies that it asks."""

from __future__ import annotations

from ..config import Settings
from ..policy import (
    BalancingSettings,
    BudgetSettings,
    DeadlineSettings,
    EjectionSettings,
    ThrottleSettings,
)


class DispatchSettings(Settings, frozen=True, kw_only=True):
    """How calls are tried.

    Attributes:
        attempts: the most attempts of one call, whatever the budget holds. 4 reach a good replica
            with 99.99 % when one in ten is bad.
        backoff_s: the mean wait in seconds before a replica is asked a second time by one call; it
            doubles each time.
        balancing: how a replica is picked.
        budget: how much may be retried and hedged.
        ejection: when a replica is left out.
        deadline: how attempts share a deadline.
        throttle: when calls are failed here, because the service refuses nearly all.
    """

    attempts: int = 4
    backoff_s: float = 0.025
    balancing: BalancingSettings = BalancingSettings()
    budget: BudgetSettings = BudgetSettings()
    ejection: EjectionSettings = EjectionSettings()
    deadline: DeadlineSettings = DeadlineSettings()
    throttle: ThrottleSettings = ThrottleSettings()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if not self.backoff_s >= 0:
            raise ValueError("backoff_s must not be below 0")
