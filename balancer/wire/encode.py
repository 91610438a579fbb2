"""Messages as bytes, whole: one write a message."""

from __future__ import annotations

from ..values import Request
from .mesh_headers import format_deadline


def request_prefix(request: Request, caller: bytes) -> bytes:
    """The part of a request that is the same in each of its attempts.

    Args:
        request: what is asked.
        caller: who asks, for the service's records.

    Returns:
        The request line and all fields up to those that each attempt adds.
    """
    head = b"%b %b HTTP/1.1\r\nHost: %b\r\nMesh-Caller: %b\r\n%b" % (
        request.method,
        request.target,
        request.service.encode("ascii"),
        caller,
        request.headers,
    )
    if request.body or request.method in (b"POST", b"PUT", b"PATCH"):
        return b"%bContent-Length: %d\r\n" % (head, len(request.body))
    return head


def attempt_bytes(prefix: bytes, body: bytes, left_s: float, attempt: int) -> bytes:
    """One attempt of a request.

    Args:
        prefix: from `request_prefix`.
        body: the raw body.
        left_s: seconds left until the call's deadline.
        attempt: 1 for the first.
    """
    if attempt == 1:
        return b"%bMesh-Deadline: %d\r\n\r\n%b" % (prefix, format_deadline(left_s), body)
    return b"%bMesh-Deadline: %d\r\nMesh-Attempt: %d\r\n\r\n%b" % (
        prefix,
        format_deadline(left_s),
        attempt,
        body,
    )


def probe_bytes(service: str, caller: bytes) -> bytes:
    """A load probe.

    Args:
        service: whom it is for.
        caller: who asks.
    """
    return b"OPTIONS * HTTP/1.1\r\nHost: %b\r\nMesh-Caller: %b\r\n\r\n" % (
        service.encode("ascii"),
        caller,
    )
