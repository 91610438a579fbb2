"""What the balancer knows of one replica: a record without behaviour of its own.

The policies read and write it, each its own part, so that one replica is one object however many
policies look at it.
"""

from __future__ import annotations

from ..values import Endpoint


class Replica:
    """The live record of an endpoint.

    Attributes:
        endpoint: what discovery tells of it; replaced when discovery tells more.
        in_flight: this process's attempts on it that have not ended.
        attempts: attempts begun on it since the process started.
        failures: consecutive failed attempts.
        connect_failures: consecutive failed connects.
        ejections: ejections in the current spell of trouble; each doubles the next one's time.
        ejected_until: monotonic seconds; 0.0 while it is not ejected.
        probing: whether a probe is out.
        settled: attempts up to this number (counted by ``attempts``) say nothing more of its
            health: they began before it was ejected, or before its probe.
        refusals: recent refusals for lack of room, each as heavy as an attempt in flight; fading.
        restored_at: when it last came back, in monotonic seconds.
        draining: whether it said that it is leaving.
    """

    __slots__ = (
        "attempts",
        "connect_failures",
        "draining",
        "ejected_until",
        "ejections",
        "endpoint",
        "failures",
        "in_flight",
        "probing",
        "refusals",
        "restored_at",
        "settled",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin a record: idle and healthy."""
        self.endpoint = endpoint
        self.in_flight = 0
        self.attempts = 0
        self.failures = 0
        self.connect_failures = 0
        self.ejections = 0
        self.ejected_until = 0.0
        self.probing = False
        self.settled = 0
        self.refusals: float = 0
        self.restored_at = 0.0
        self.draining = False

    def __repr__(self) -> str:
        state = "ejected" if self.ejected_until else "draining" if self.draining else "up"
        return f"<Replica {self.endpoint.replica} {self.endpoint.address} {state}>"
