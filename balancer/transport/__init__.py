"""Sockets: pools of connections, transports that write at once, the clock and the sweep."""

from ..clock import Clock, MonotonicClock
from .channel import Attempt, Channel
from .optimistic import OptimisticPort, OptimisticServer, listen, listen_on
from .pool import Pool, PoolSettings
from .sweep import Sweep, Timed

__all__ = [
    "Attempt",
    "Channel",
    "Clock",
    "MonotonicClock",
    "OptimisticPort",
    "OptimisticServer",
    "Pool",
    "PoolSettings",
    "Sweep",
    "Timed",
    "listen",
    "listen_on",
]
