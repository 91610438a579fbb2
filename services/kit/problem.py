"""Errors as a service tells them: RFC 9457 ``application/problem+json``."""

from __future__ import annotations

from typing import Any

import msgspec

from balancer import CallError, DeadlineExceeded
from clients.contract import BadRequest

from .answer import Answer, problem_head

_encode = msgspec.json.Encoder().encode


class Problem(Exception):
    """An error that a handler answers with on purpose.

    ::

        raise Problem(404, "not-found", detail=f"There is no user {request.id}.")

    Attributes:
        status: 400 to 599.
        type: a short stable name that callers can act on, such as "stale-version".
        title: what the name means; the same each time.
        detail: what happened this time and what to do. No personal data: it may be logged.
        members: further members of the problem.
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the member's name in RFC 9457
        *,
        title: str = "",
        detail: str = "",
        **members: Any,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(detail or type)
        self.status = status
        self.type = type
        self.title = title or type.replace("-", " ").capitalize()
        self.detail = detail
        self.members = members


def problem_answer(problem: Problem, extra: bytes = b"") -> Answer:
    """A problem as an answer.

    Args:
        problem: what to tell.
        extra: further whole header lines.
    """
    content = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **problem.members,
    }
    return Answer(problem.status, problem_head(problem.status), _encode(content), extra)


def problem_of(error: Exception) -> Problem | None:
    """The problem that an exception is.

    Returns:
        None when it is a fault of ours that nobody foresaw.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, BadRequest):
        return Problem(error.status, error.type, detail=error.detail)
    if isinstance(error, DeadlineExceeded):
        return Problem(
            504,
            "deadline-exceeded",
            detail=f"The time ran out while {error.service} was asked; allow more or ask again.",
        )
    if isinstance(error, CallError):
        return Problem(
            503,
            "dependency-failed",
            detail=f"{error.service} did not answer ({error.kind}); ask again later.",
        )
    return None
