"""What a way to pick has to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..replica import Replica


class Picker(Protocol):
    """One way to pick, for one group of replicas, with what it remembers of them.

    Attributes:
        compared: the replicas that the last pick looked at, the picked one among them; for the
            decision log.
    """

    compared: Sequence[Replica]

    def update(self, replicas: Sequence[Replica]) -> None:
        """Take the replicas that may be picked from now on; at least one."""

    def pick(self, now: float, key: str | None) -> Replica:
        """Pick one.

        Args:
            now: monotonic seconds.
            key: what the call's answer depends on, for picks that keep like calls together; None
                when the call declares none.
        """

    def heard(self, replica: Replica, now: float) -> None:
        """Take note that a replica has just reported its load, with a good answer or to a probe.

        Args:
            replica: one of those that may be picked; its record has the report already.
            now: monotonic seconds.
        """

    def refresh(self, now: float) -> None:
        """Work out what changes slowly: weights and costs may have changed; twice a second."""
