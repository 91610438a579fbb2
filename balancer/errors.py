"""How a call can end without its answer: one shallow tree, read by its attributes.

Whether something may be tried again is decided from ``retryable`` and ``sent``, never from the
class: so a new kind of error needs no change where decisions are made. Each message is written for
the person who reads it in a log at night: what happened, where, and what to do.
"""

from __future__ import annotations


class MeshError(Exception):
    """The base of everything that this distribution raises on purpose."""


class ConfigError(MeshError):
    """A configuration that cannot be used; the message names the file, the line and the mend."""


class RegistryError(MeshError):
    """A registry that cannot be used as it is; the message says what to do."""


class CallError(MeshError):
    """A call that ended without its answer.

    Attributes:
        kind: a short stable name for metrics and reports, such as "deadline".
        service: the service that was called.
        sent: whether a replica may have begun the call.
        retryable: whether another replica might still answer.
        attempts: how many replicas were tried.
    """

    kind = "call"
    retryable = False

    def __init__(
        self, message: str, *, service: str = "", sent: bool = False, attempts: int = 0
    ) -> None:
        """See the class for the arguments."""
        super().__init__(message)
        self.service = service
        self.sent = sent
        self.attempts = attempts


class NoReplicas(CallError):
    """The registry knows no replica of the service."""

    kind = "no-replicas"


class DeadlineExceeded(CallError):
    """The time that the caller gave ran out."""

    kind = "deadline"


class AttemptTimeout(CallError):
    """One replica was silent for its share of the deadline; another is asked instead."""

    kind = "attempt-timeout"
    retryable = True


class ConnectFailed(CallError):
    """No connection to the replica; nothing was sent, so anybody else may be asked."""

    kind = "connect"
    retryable = True


class ReplyLost(CallError):
    """The connection broke after the request was sent and before the answer was whole."""

    kind = "reply-lost"
    retryable = True


class BadReply(CallError):
    """The replica answered something that is not HTTP, too large, or not what the contract says."""

    kind = "bad-reply"


class Refused(CallError):
    """A 4xx, 5xx or nack: the replica did answer, and what it answered is an error.

    Attributes:
        status: the HTTP status; 0 when the call was refused here and nobody was asked.
        type: the problem's short name, such as "stale-version".
        title: what the name means, for people.
        detail: what happened this time and what to do.
        body: the whole problem as received (JSON), for members beyond these.
    """

    kind = "refused"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        type: str = "about:blank",  # noqa: A002 - the field's name in RFC 9457
        title: str = "",
        detail: str = "",
        body: bytes = b"",
        service: str = "",
        attempts: int = 0,
        sent: bool = True,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(message, service=service, sent=sent, attempts=attempts)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.body = body


class Rejected(Refused):
    """The service's own 4xx: the request is wrong, and no other replica would say otherwise."""

    kind = "rejected"


class Overloaded(Refused):
    """The service refused for lack of room, and the retry budget or the replicas ran out.

    Of type "throttled" (status 0, not ``sent``): it has refused most of this process's calls of
    the last seconds, so this one was not sent at all.
    """

    kind = "overloaded"


class ServiceFailed(Refused):
    """The service's own 5xx."""

    kind = "service-failed"
