"""From an error's answer to the exception that the caller gets."""

from __future__ import annotations

import msgspec

from balancer import (
    CallError,
    DeadlineExceeded,
    Overloaded,
    Refused,
    Rejected,
    Reply,
    ServiceFailed,
)


class _Problem(msgspec.Struct):
    """The members of RFC 9457 that are read; others stay in the body."""

    type: str = "about:blank"
    title: str = ""
    detail: str = ""


_decode = msgspec.json.Decoder(_Problem).decode


def refusal(service: str, call: str, reply: Reply) -> CallError:
    """Translate an answer of 400 or above.

    Args:
        service: who answered.
        call: the call's name.
        reply: what it answered.
    """
    status = reply.status
    try:
        problem = _decode(reply.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        problem = _Problem(title="an answer that is no problem+json")
    what = f"{service}.{call}: {status} {problem.type}"
    if problem.detail or problem.title:
        what = f"{what}: {problem.detail or problem.title}"
    if status == 504:
        return DeadlineExceeded(what, service=service, sent=True)
    kind: type[Refused] = ServiceFailed
    if status in (429, 503):
        kind = Overloaded
    elif status < 500:
        kind = Rejected
    return kind(
        what,
        status=status,
        type=problem.type,
        title=problem.title,
        detail=problem.detail,
        body=reply.body,
        service=service,
    )
