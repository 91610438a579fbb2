"""Counting, cheaply: plain numbers that somebody else turns into metrics when asked."""

from .histogram import FINE_BOUNDS_S, Histogram, geometric_bounds
from .stats import CallStats

__all__ = ["FINE_BOUNDS_S", "CallStats", "Histogram", "geometric_bounds"]
