"""A service: a contract, and the function that answers each of its calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar, cast, overload

import msgspec

from balancer import ConfigError
from clients.contract import Call, Contract, Message, RequestDecoder

from .answer import Answer, answer_head
from .context import Context, State
from .problem import Problem
from .runtime import Kit
from .server import Incoming, RouteStats
from .server.router import unquote_values

Request = TypeVar("Request", bound=Message)
Result = TypeVar("Result", bound=Message)
Work = Coroutine[Any, Any, Result]

_encode = msgspec.json.Encoder().encode


class _Registrar(Protocol[Request, Result, State]):
    """Takes either form of handler, and gives it back."""

    @overload
    def __call__(
        self, function: Callable[[Request], Work[Result]], /
    ) -> Callable[[Request], Work[Result]]: ...
    @overload
    def __call__(
        self, function: Callable[[Request, Context[State]], Work[Result]], /
    ) -> Callable[[Request, Context[State]], Work[Result]]: ...


class Service(Generic[State]):
    """Answers a contract's calls.

    ::

        service = Service(Hello)

        @service.answers(Hello.greet)
        async def greet(request: Greet) -> Greeting: ...

    Attributes:
        contract: what it answers.
        opens: makes the state that its handlers share.
    """

    def __init__(
        self,
        contract: type[Contract],
        *,
        opens: Callable[[Kit], AbstractAsyncContextManager[State]] | None = None,
    ) -> None:
        """Begin without handlers.

        Args:
            contract: what it answers.
            opens: entered when a replica starts, before it listens; left when it has drained. What
                it yields is ``context.state`` of every request.
        """
        self.contract = contract
        self.opens = opens
        self._handlers: dict[str, tuple[Callable[..., Any], bool]] = {}

    def answers(self, call: Call[Any, Request, Result]) -> _Registrar[Request, Result, State]:
        """Make the decorated function answer a call.

        The function is ``async`` and takes the request, or the request and the `Context`.

        Raises:
            ValueError: the call is another contract's, or is answered already.
        """
        if self.contract.calls.get(call.name) is not call:
            raise ValueError(f"{call!r} is no call of {self.contract.__name__}")

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            if call.name in self._handlers:
                raise ValueError(f"{call!r} is answered twice")
            if not inspect.iscoroutinefunction(function):
                raise ValueError(f"the handler of {call!r} must be an async function")
            takes_context = len(inspect.signature(function).parameters) > 1
            self._handlers[call.name] = (function, takes_context)
            return function

        return cast("_Registrar[Request, Result, State]", register)

    def routes(self, state: State) -> list[tuple[Call[Any, Any, Any], CallRoute[State]]]:
        """A route for each call.

        Args:
            state: what the handlers share.

        Raises:
            ConfigError: a call has no handler.
        """
        missing = self.contract.calls.keys() - self._handlers.keys()
        if missing:
            raise ConfigError(
                f"{self.contract.service}: no handler answers {', '.join(sorted(missing))}; "
                "add one with @service.answers(...)"
            )
        return [
            (call, CallRoute(call, *self._handlers[name], state))
            for name, call in self.contract.calls.items()
        ]


class CallRoute(Generic[State]):
    """Decodes, validates and answers the requests of one call; see `services.kit.server.Route`."""

    def __init__(
        self,
        call: Call[Any, Any, Any],
        handler: Callable[..., Coroutine[Any, Any, Any]],
        takes_context: bool,
        state: State,
    ) -> None:
        """Prepare for a call."""
        self.name = f"{call.service}.{call.name}"
        self.body_limit: int | None = call.body_limit if call.has_body else 0
        self.stats = RouteStats()
        self._status = call.status
        self._head = answer_head(call.status, "application/json")
        self._decode = RequestDecoder(call).decode
        self._answer = call.answer
        self._handler = handler
        self._takes_context = takes_context
        self._state = state

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        """Check the request and make the handler's coroutine.

        Raises:
            BadRequest: it is not what the call declares.
            Problem: its body is not JSON by its own word.
        """
        request = incoming.request
        if request.body:
            kind = request.headers.get(b"content-type", b"application/json")
            if kind.partition(b";")[0].strip().lower() != b"application/json":
                raise Problem(
                    415,
                    "not-json",
                    detail="The body must be sent with Content-Type: application/json.",
                )
        values = incoming.values
        if b"%" in request.path or not request.path.isascii():
            try:
                values = unquote_values(values)
            except UnicodeDecodeError:
                raise Problem(400, "bad-path", detail="The path is not valid UTF-8.") from None
        message = self._decode(values, request.query, request.body)
        if self._takes_context:
            return self._handler(message, Context(self._state, incoming))
        return self._handler(message)

    def finish(self, result: Any) -> Answer:
        """Encode the handler's answer.

        Raises:
            TypeError: the handler returned something else than its call declares.
        """
        if not isinstance(result, self._answer):
            raise TypeError(f"{self.name} returned {type(result).__qualname__}")
        return Answer(self._status, self._head, _encode(result))
