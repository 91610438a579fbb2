"""An answer before it is bytes."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus


class Answer:
    """What goes back.

    Attributes:
        status: the HTTP status.
        head: status line and Content-Type, up to and with "Content-Length: ".
        body: raw.
        extra: further whole header lines.
    """

    __slots__ = ("body", "extra", "head", "status")

    def __init__(self, status: int, head: bytes, body: bytes, extra: bytes = b"") -> None:
        """See the class for the arguments."""
        self.status = status
        self.head = head
        self.body = body
        self.extra = extra


@cache
def answer_head(status: int, content_type: str) -> bytes:
    """The part of an answer's head that is the same each time.

    Args:
        status: the HTTP status.
        content_type: the media type of the body.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\nContent-Length: ".encode(
        "ascii"
    )


def problem_head(status: int) -> bytes:
    """The head of a problem."""
    return answer_head(status, "application/problem+json")
