"""What an answer means for the caller and for the replica that gave it.

Two questions are kept apart: *whose fault* (a 4xx is the caller's, so it says nothing bad about
the replica) and *may another be asked* (a nack was never begun, so anything may; other failures
only when doing it twice is harmless).
"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What an answer is.

    GOOD and REJECTED are the service's own answers. NACKED was refused before it was begun. BUSY
    is a refusal for lack of room that does not promise that nothing was begun. FAILED is a fault.
    """

    GOOD = "good"
    REJECTED = "rejected"
    NACKED = "nacked"
    BUSY = "busy"
    FAILED = "failed"


# 504 too: a server that had no time left to begin is busy, not broken.
_BUSY = frozenset({429, 503, 504})
# Asking another replica cannot help: it implements no more, and the deadline is the same there.
_FINAL = frozenset({501, 504, 505})


def classify(status: int, *, nacked: bool) -> Verdict:
    """Classify an answer.

    Args:
        status: the HTTP status.
        nacked: whether it carried ``Mesh-Nack``.
    """
    if status < 400:
        return Verdict.GOOD
    if nacked:
        return Verdict.NACKED
    if status in _BUSY:
        return Verdict.BUSY
    if status < 500:
        return Verdict.REJECTED
    return Verdict.FAILED


def may_retry(verdict: Verdict, status: int, *, retryable: bool) -> bool:
    """Whether another replica may be asked after this answer.

    Args:
        verdict: what the answer was.
        status: its HTTP status.
        retryable: whether the call is idempotent or carries an Idempotency-Key.
    """
    if verdict is Verdict.NACKED:
        return status not in _FINAL
    return retryable and verdict in (Verdict.BUSY, Verdict.FAILED) and status not in _FINAL
