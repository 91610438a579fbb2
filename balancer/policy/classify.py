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
    MISDIRECTED is no answer of the service's at all: another one's replica has the address now.
    """

    GOOD = "good"
    REJECTED = "rejected"
    NACKED = "nacked"
    BUSY = "busy"
    FAILED = "failed"
    MISDIRECTED = "misdirected"


# 504 too: a server that had no time left to begin is busy, not broken.
_BUSY = frozenset({429, 503, 504})
_NO_ROOM = frozenset({429, 503})
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
        return Verdict.MISDIRECTED if status == 421 else Verdict.NACKED
    if status in _BUSY:
        return Verdict.BUSY
    if status < 500:
        return Verdict.REJECTED
    return Verdict.FAILED


def is_refusal(verdict: Verdict, status: int) -> bool:
    """Whether an answer says that there is no room, and not that the time was too short."""
    return verdict is Verdict.NACKED or status in _NO_ROOM


def failure_kind(verdict: Verdict, status: int) -> str:
    """The kind of failure (see `balancer.errors`) that an answer is; "" for the service's own.

    Args:
        verdict: what the answer was.
        status: its HTTP status.
    """
    if verdict is Verdict.GOOD or verdict is Verdict.REJECTED:
        return ""
    if verdict is Verdict.MISDIRECTED:
        return "connect"
    if verdict is Verdict.FAILED:
        return "service-failed"
    return "deadline" if status == 504 else "overloaded"


def may_retry(verdict: Verdict, status: int, *, retryable: bool) -> bool:
    """Whether another replica may be asked after this answer.

    Args:
        verdict: what the answer was.
        status: its HTTP status.
        retryable: whether the call is idempotent or carries an Idempotency-Key.
    """
    if verdict is Verdict.NACKED or verdict is Verdict.MISDIRECTED:
        return status not in _FINAL
    return retryable and verdict in (Verdict.BUSY, Verdict.FAILED) and status not in _FINAL
