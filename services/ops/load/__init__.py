"""`txmesh load`: calls at a constant rate, and a report on them."""

from .command import load

__all__ = ["load"]
