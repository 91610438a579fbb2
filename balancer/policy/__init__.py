"""Decisions, and nothing else: each takes ``now``, a random source and plain values.

Nothing here reads a clock, opens a socket or logs, so the same code runs against replicas on
sockets and, in virtual time, against thousands of simulated ones.
"""

from .balancing import BalancingSettings
from .budget import BudgetSettings, RetryBudget
from .classify import Verdict, classify, failure_kind, is_refusal, may_retry
from .deadline import DeadlineSettings, attempt_deadline
from .ejection import EjectionSettings, Ejector
from .fleet import Fleet
from .hedge import HedgeDelay
from .pick.make import signal_name
from .pushback import Pushback
from .replica import Replica
from .signals import SIGNALS
from .split import group_name
from .throttle import Throttle, ThrottleSettings

__all__ = [
    "SIGNALS",
    "BalancingSettings",
    "BudgetSettings",
    "DeadlineSettings",
    "EjectionSettings",
    "Ejector",
    "Fleet",
    "HedgeDelay",
    "Pushback",
    "Replica",
    "RetryBudget",
    "Throttle",
    "ThrottleSettings",
    "Verdict",
    "attempt_deadline",
    "classify",
    "failure_kind",
    "group_name",
    "is_refusal",
    "may_retry",
    "signal_name",
]
