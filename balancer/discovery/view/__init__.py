"""What a caller goes by: a registry's word as far as it is believed, and what was known before."""

from .belief import IsGone, Known, believe, confirm
from .memory import Memory
from .view import View, Watched

__all__ = ["IsGone", "Known", "Memory", "View", "Watched", "believe", "confirm"]
