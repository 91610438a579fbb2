"""What a call inherits from the request on whose behalf it is made.

A service that handles a request sets this before its handler runs; every call that the handler
makes reads it. So a deadline crosses tiers without any handler passing it on, and no tier works
for a caller who has already gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

_INHERITED = (b"Mesh-Site", b"Mesh-Priority", b"traceparent")


class Ambient:
    """The inherited part of a request.

    Attributes:
        deadline: the instant by which its caller wants its answer, in the process's monotonic
            seconds.
        headers: its headers by lower-case name; `inherited_lines` picks what is handed on.
    """

    __slots__ = ("deadline", "headers")

    def __init__(self, deadline: float, headers: Mapping[bytes, bytes]) -> None:
        """See the class for the arguments."""
        self.deadline = deadline
        self.headers = headers

    def inherited_lines(self, given: bytes) -> bytes:
        """The header lines that a call made for the request carries on: site, priority and trace.

        Args:
            given: the lines that the call has already; what they say goes before what is inherited.
        """
        present = b"\n" + given.lower()
        return b"".join(
            b"%b: %b\r\n" % (name, self.headers[name.lower()])
            for name in _INHERITED
            if name.lower() in self.headers and b"\n%b:" % name.lower() not in present
        )


current: ContextVar[Ambient | None] = ContextVar("mesh_ambient", default=None)
