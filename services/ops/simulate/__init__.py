"""`txmesh simulate`: the balancer in virtual time, one scenario or the whole report."""

from .command import simulate

__all__ = ["simulate"]
