"""Counting, cheaply: plain numbers that somebody else turns into metrics when asked.

And remembering, for a few: the decisions of sampled calls.
"""

from .decision_log import DecisionLog, DecisionSettings
from .decisions import (
    AttemptEntry,
    CallEntry,
    CandidateEntry,
    DecisionEntry,
    DecisionHeader,
    HealthEntry,
)
from .histogram import FINE_BOUNDS_S, Histogram, geometric_bounds
from .load import LoadMeter
from .sampled import SampledCall
from .stats import CallStats

__all__ = [
    "FINE_BOUNDS_S",
    "AttemptEntry",
    "CallEntry",
    "CallStats",
    "CandidateEntry",
    "DecisionEntry",
    "DecisionHeader",
    "DecisionLog",
    "DecisionSettings",
    "HealthEntry",
    "Histogram",
    "LoadMeter",
    "SampledCall",
    "geometric_bounds",
]
