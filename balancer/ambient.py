"""What a call inherits from the request on whose behalf it is made.

A service that handles a request sets this before its handler runs; every call that the handler
makes reads it. So a deadline crosses tiers without any handler passing it on, and no tier works
for a caller who has already gone.
"""

from __future__ import annotations

from contextvars import ContextVar


class Ambient:
    """The inherited part of a request.

    Attributes:
        deadline: the instant by which the caller wants its answer, in the process's monotonic
            seconds.
        priority: 0 (dropped last) to 3.
        site: the co-branded site, or "".
        trace: the ``traceparent`` header as received, or b"".
    """

    __slots__ = ("deadline", "priority", "site", "trace")

    def __init__(self, deadline: float, priority: int, site: str, trace: bytes) -> None:
        """See the class for the arguments."""
        self.deadline = deadline
        self.priority = priority
        self.site = site
        self.trace = trace


current: ContextVar[Ambient | None] = ContextVar("mesh_ambient", default=None)
