"""File descriptors: a flood of connections must leave some for everything else.

A connection is one descriptor, and so are a database, a lease and the admin port's connections.
With none left the replica could not be asked how it is, nor keep its place in the registry.
"""

from __future__ import annotations

import resource

# Kept for all that is no connection of the port's.
_RESERVED = 100


def connections_at_most(wanted: int) -> int:
    """Make room for connections, by raising this process's own limit as far as it may.

    Args:
        wanted: how many connections there may be.

    Returns:
        How many of them there is room for; at least 1.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    needed = wanted + _RESERVED
    if soft == unlimited or soft >= needed:
        return wanted
    raised = needed if hard == unlimited else min(needed, hard)
    if raised > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return max(1, min(wanted, raised - _RESERVED))
