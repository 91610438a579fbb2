"""Decisions, and nothing else: each takes ``now``, a random source and plain values.

Nothing here reads a clock, opens a socket or logs, so the same code runs against replicas on
sockets and, in virtual time, against thousands of simulated ones.
"""

from .budget import BudgetSettings, RetryBudget
from .classify import Verdict, classify, may_retry
from .deadline import DeadlineSettings, attempt_deadline
from .ejection import EjectionSettings, Ejector
from .fleet import Fleet
from .pick import TwoChoices
from .replica import Replica

__all__ = [
    "BudgetSettings",
    "DeadlineSettings",
    "EjectionSettings",
    "Ejector",
    "Fleet",
    "Replica",
    "RetryBudget",
    "TwoChoices",
    "Verdict",
    "attempt_deadline",
    "classify",
    "may_retry",
]
