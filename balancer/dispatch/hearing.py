"""What a reply tells of the replica that sent it, passed on to the fleet."""

from __future__ import annotations

from ..policy import Fleet, Replica, Verdict, classify
from ..values import Reply
from ..wire import parse_load

# Both mesh headers of an answer have names of this length; the others are not looked at.
_MESH_NAME_BYTES = len(b"mesh-load")


def hear(
    fleet: Fleet, replica: Replica, number: int, reply: Reply, now: float, latency_s: float
) -> Verdict:
    """Tell the fleet what came of an attempt that was answered.

    Args:
        fleet: who is told.
        replica: who answered.
        number: the attempt's number there.
        reply: the answer.
        now: monotonic seconds.
        latency_s: how long the attempt took, in seconds.

    Returns:
        What the answer is.
    """
    nacked = False
    load = None
    for name, value in reply.headers:
        if len(name) == _MESH_NAME_BYTES:
            lowered = name.lower()
            if lowered == b"mesh-load":
                load = parse_load(value)
                if load is not None and load.draining:
                    fleet.drained(replica, now, number)
            elif lowered == b"mesh-nack":
                nacked = True
    verdict = classify(reply.status, nacked=nacked)
    if verdict is Verdict.GOOD:
        fleet.succeeded(replica, now, number, latency_s, load)
    elif verdict is Verdict.REJECTED:
        fleet.succeeded(replica, now, number)
    elif verdict is Verdict.MISDIRECTED:
        fleet.misdirected(replica, now, number)
    elif verdict is Verdict.FAILED:
        fleet.failed(replica, now, number)
        fleet.spoke(replica)
    else:
        # A 504 had no time left when it came: that is the caller's clock, not the replica's room.
        fleet.refused(replica, now, number, full=reply.status != 504)
    return verdict
