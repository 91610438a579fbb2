"""The server's own settings."""

from __future__ import annotations

from balancer import Settings
from balancer.wire import WireLimits

from ..ranges import check_above_zero


class ServerSettings(Settings, frozen=True, kw_only=True):
    """How a replica serves.

    Attributes:
        header_deadline_s: from a head's first byte to its last (seconds). 10 s: on an internal
            network a head is one packet.
        body_deadline_s: from the end of the head to the end of the body.
        idle_s: an idle connection is closed after this; above the callers' own 60 s, so that
            they close first.
        write_deadline_s: how long a peer may leave its answers unread.
        request_deadline_s: how long a request may run at the most, whatever its caller asks for.
        drain_s: how long a stop waits for what runs.
        drain_notice_s: from leaving the registry to taking no more connections: callers look at
            the registry every 100 ms, and a frozen one is given the rest.
        requests: requests at once; one more is refused with Mesh-Nack, and asked elsewhere.
        connections: connections at once; one more is closed. Fewer where the system allows the
            process fewer descriptors.
        limits: what a message may be.
    """

    header_deadline_s: float = 10.0
    body_deadline_s: float = 30.0
    idle_s: float = 75.0
    write_deadline_s: float = 30.0
    request_deadline_s: float = 30.0
    drain_s: float = 30.0
    drain_notice_s: float = 1.0
    requests: int = 1000
    connections: int = 10_000
    limits: WireLimits = WireLimits()

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_above_zero(self)
