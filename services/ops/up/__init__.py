"""`txmesh up`: a whole mesh on this machine, its replicas kept running."""

from .command import up

__all__ = ["up"]
