"""Simulated servers: what a replica does with attempts, in virtual time.

A `Server` is what callers see: connections, status, load reports, faults, its end and restart. How
long a request takes is decided by its *work*: one at a time (`Fifo`), all at once sharing a
capacity (`Sharing`), or each by itself (`Apart`).
"""

from .apart import Apart
from .channel import ServerChannel
from .fault import BlackHole, Failing, Fault
from .fifo import Fifo
from .job import Job, Work
from .server import OLD_S, Server
from .sharing import Sharing

__all__ = [
    "OLD_S",
    "Apart",
    "BlackHole",
    "Failing",
    "Fault",
    "Fifo",
    "Job",
    "Server",
    "ServerChannel",
    "Sharing",
    "Work",
]
