"""A call that shows whether a replica really works, declared beside the calls it is one of.

"Ready" is a replica's own opinion. Before a new one is given to callers, one real call is made on
it: a request that goes through all that a call goes through, storage too, and changes nothing.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from .message import Message

Request = TypeVar("Request", bound=Message)


class Smoke(Generic[Request]):
    """A request and what a replica that works answers to it.

    ::

        fetch = Call(FetchUser, User, get="/v1/users/{id}",
                     smoke=Smoke(FetchUser(id="u_2222222222222222"), status=404, type="not-found"))

    Attributes:
        request: what is asked.
        status: the HTTP status of the answer; None for that of the call's good answer, which is
            decoded as well.
        type: the problem's short name, where the status is an error's; "" for any.
    """

    __slots__ = ("request", "status", "type")

    def __init__(self, request: Request, *, status: int | None = None, type: str = "") -> None:  # noqa: A002
        """See the class for the arguments.

        Raises:
            ValueError: a status that no finished answer has, or a problem's name without a problem.
        """
        if status is not None and not 200 <= status <= 599:
            raise ValueError(f"status is {status}; an answer has 200 to 599")
        if type and (status is None or status < 400):
            raise ValueError(f"type is {type!r}, and an answer of {status or 'success'} has none")
        self.request = request
        self.status = status
        self.type = type


def check_smoke(smoke: Smoke[Any], request: type[Message]) -> None:
    """Check that a smoke call fits the call that it is one of.

    Raises:
        ValueError: its request is another call's.
    """
    if not isinstance(smoke.request, request):
        raise ValueError(  # noqa: TRY004 - as for all that contradicts itself in a declaration
            f"smoke asks with {type(smoke.request).__name__}, and the call takes {request.__name__}"
        )
