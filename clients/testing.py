"""A mesh for unit tests of whatever calls services: no sockets, answers from functions.

::

    mesh = StubMesh()

    @mesh.answers(Users.fetch)
    def fetch(request: FetchUser) -> User:
        return User(id=request.id, ...)

    mesh.rejects(Users.erase, 404, "not-found")
    await code_under_test(mesh.client(Users))
    assert mesh.made[0].message == FetchUser(id="u_...")

Requests and answers go through the real coding on their way, so what the wire would refuse is
refused here as well. For tests of retries, deadlines and bad replicas there is the real mesh in a
`balancer.testing.World`: see `mesh_in`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import msgspec
from twisted.internet.defer import Deferred, succeed

from balancer import CallError, Rejected
from balancer.testing import World

from . import Mesh
from .contract import (
    AnswerDecoder,
    BadRequest,
    Call,
    CallOptions,
    Contract,
    Message,
    RequestDecoder,
    RequestEncoder,
)

Client = TypeVar("Client", bound=Contract)
Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)

Answers = Callable[[Request], "Answer | Deferred[Answer] | Coroutine[Any, Any, Answer]"]


def mesh_in(world: World) -> Mesh:
    """The real mesh in a world of scripted replicas, in virtual time.

    ::

        world = World(seed=1)
        one, two = world.add("users", 2)
        users = mesh_in(world).client(Users)
        call = users.fetch(id="u_...")
        world.run(1.0)
    """
    return Mesh(registry=world.registry, reactor=world.clock, dispatcher=world.dispatcher)


class Made(Generic[Request]):
    """One call that was made.

    Attributes:
        call: the declaration.
        message: what was asked.
        options: what the caller said beyond it, or None.
    """

    __slots__ = ("call", "message", "options")

    def __init__(
        self, call: Call[Any, Request, Any], message: Request, options: CallOptions | None
    ) -> None:
        """See the class for the arguments."""
        self.call = call
        self.message = message
        self.options = options

    def __repr__(self) -> str:
        return f"<Made {self.call.service}.{self.call.name} {self.message!r}>"


class StubMesh:
    """Stands in for a `clients.Mesh` where only its clients are used; see the module.

    Attributes:
        made: the calls that were made, in order.
    """

    def __init__(self) -> None:
        """Begin without any answer."""
        self.made: list[Made[Any]] = []
        self._answers: dict[Call[Any, Any, Any], Callable[[Any], Any]] = {}

    def client(self, contract: type[Client]) -> Client:
        """The typed client of a service."""
        return contract(self)

    def answers(
        self, call: Call[Any, Request, Answer]
    ) -> Callable[[Answers[Request, Answer]], Answers[Request, Answer]]:
        """Make the decorated function answer a call from now on.

        It takes the request, and returns the answer, a Deferred or a coroutine of it, or raises a
        `balancer.CallError`.
        """

        def register(function: Answers[Request, Answer]) -> Answers[Request, Answer]:
            self._answers[call] = function
            return function

        return register

    def rejects(
        self,
        call: Call[Any, Any, Any],
        status: int,
        type: str,  # noqa: A002 - the field's name in RFC 9457
        detail: str = "",
    ) -> None:
        """Have a call rejected from now on, as the service itself would do it.

        Args:
            call: which one.
            status: the HTTP status, 400 to 499.
            type: the problem's short name.
            detail: what went wrong.
        """
        what = f"{call.service}.{call.name}: {status} {type}"

        def reject(_request: Message) -> Message:
            raise Rejected(what, status=status, type=type, title=type, detail=detail)

        self._answers[call] = reject

    def fails(self, call: Call[Any, Any, Any], error: Callable[[], CallError]) -> None:
        """Have a call fail from now on.

        Args:
            call: which one.
            error: makes the error; a new one a call, as each carries its own details.
        """

        def fail(_request: Message) -> Message:
            raise error()

        self._answers[call] = fail

    def carry(
        self, call: Call[Any, Any, Answer], message: Message, options: CallOptions | None
    ) -> Deferred[Answer]:
        """Answer one call; typed clients use it (see `clients.contract.Carrier`).

        Raises:
            ValueError: what the real mesh would refuse to send.
            AssertionError: nobody has said how to answer this call.
        """
        if options is not None and options.idempotency_key is not None and not call.keyed:
            raise ValueError(f"{call.service}.{call.name} takes no Idempotency-Key")
        received = _over_the_wire(call, message)
        self.made.append(Made(call, message, options))
        function = self._answers.get(call)
        if function is None:
            raise AssertionError(
                f"the test says no answer to {call.service}.{call.name}; "
                "add one with @mesh.answers(...), mesh.rejects(...) or mesh.fails(...)"
            )
        return Deferred.fromCoroutine(_answer(call, function, received))


async def _answer(
    call: Call[Any, Any, Answer],
    function: Callable[[Any], Any],
    received: Message | Rejected,
) -> Answer:
    if isinstance(received, Rejected):
        raise received
    result = function(received)
    if isinstance(result, Coroutine):
        result = Deferred.fromCoroutine(result)
    answer = await (result if isinstance(result, Deferred) else succeed(result))
    wanted = call.answer.__name__
    assert isinstance(answer, call.answer), f"{call!r} is answered with a {wanted}, not {answer!r}"
    return AnswerDecoder(call).decode(msgspec.json.encode(answer))


def _over_the_wire(call: Call[Any, Any, Any], message: Message) -> Message | Rejected:
    """The message as the service would receive it, or its refusal."""
    target, body = RequestEncoder(call).encode(message)
    path, _, query = target.partition(b"?")
    parts = zip(call.path.segments, path.decode("ascii").split("/")[1:], strict=True)
    values = [unquote(part, errors="strict") for segment, part in parts if segment is None]
    try:
        received: Message = RequestDecoder(call).decode(values, query, body)
    except BadRequest as error:
        what = f"{call.service}.{call.name}: {error.status} {error.type}: {error.detail}"
        return Rejected(what, status=error.status, type=error.type, detail=error.detail)
    return received
