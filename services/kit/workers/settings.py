"""How the workers of a replica are kept."""

from __future__ import annotations

from balancer import Settings

from ..ranges import check_above_zero, check_at_least


class WorkersSettings(Settings, frozen=True, kw_only=True):
    """How the workers of a replica with ``--workers`` are kept.

    Attributes:
        ready_s: how long workers of a reload may take until they could serve, in seconds; then
            they are given up and the old ones stay. Also how long any may say nothing at all
            while it starts: on a busy machine, imports take seconds.
        hang_s: a worker that answers its master nothing for so long is killed and replaced, in
            seconds. 10 s are longer than any handler may block, and a frozen worker holds up
            the callers whose connections it has.
        retire_s: how long an old worker stays after a reload for callers that keep a connection
            to it without using it, in seconds: above [server] idle_s, so that no connection is
            closed on which a call is on its way.
        restart_first_s: the wait before a worker that died is started again, in seconds; it
            doubles with each death.
        restart_most_s: the longest such wait, in seconds; a worker that lived as long begins with
            the first again.
    """

    ready_s: float = 60.0
    hang_s: float = 10.0
    retire_s: float = 90.0
    restart_first_s: float = 0.1
    restart_most_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_above_zero(self)
        check_at_least(self, "restart_most_s", "restart_first_s")
