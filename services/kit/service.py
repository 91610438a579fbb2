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
from .schedule import LIMIT_S, Always, At, Every, Job, On, Run, Timetable
from .server import Incoming, RouteStats
from .server.router import unquote_values

Request = TypeVar("Request", bound=Message)
Result = TypeVar("Result", bound=Message)
Work = Coroutine[Any, Any, Result]
_JobWork = Coroutine[Any, Any, None]

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


class _JobRegistrar(Protocol[State]):
    """Takes either form of job, and gives it back."""

    @overload
    def __call__(self, function: Callable[[], _JobWork], /) -> Callable[[], _JobWork]: ...
    @overload
    def __call__(
        self, function: Callable[[Run[State]], _JobWork], /
    ) -> Callable[[Run[State]], _JobWork]: ...


class Service(Generic[State]):
    """Answers a contract's calls, and does what is to be done without being called.

    ::

        service = Service(Hello)

        @service.answers(Hello.greet)
        async def greet(request: Greet) -> Greeting: ...

    Attributes:
        contract: what it answers.
        opens: makes the state that its handlers share.
        jobs: its scheduled work.
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
        self.jobs: list[Job] = []
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

    def every(
        self,
        period_s: float,
        *,
        on: On = "one",
        name: str | None = None,
        limit_s: float | None = LIMIT_S,
    ) -> _JobRegistrar[State]:
        """Run the decorated function at intervals, never twice at once.

        The function is ``async`` and takes nothing, or the `Run`. Where the intervals begin
        follows from the job's name, so that not all jobs run at one instant.

        Args:
            period_s: from one run to the next, in seconds. A run that takes longer has those that
                it covers left out.
            on: "one" runs it in one process over all replicas, under a lock in the registry, and
                again in another when that one dies; "each" in every process for itself.
            name: in the lock, the metrics and the log; the function's own without it.
            limit_s: a run is cancelled after this, in seconds, and has failed; None: never.

        Raises:
            ValueError: one of them is out of range, or the service has a job of that name.
        """
        return self._job(Every(period_s), on=on, name=name, limit_s=limit_s)

    def at(
        self,
        times: str,
        *,
        zone: str = "UTC",
        on: On = "one",
        name: str | None = None,
        limit_s: float | None = LIMIT_S,
    ) -> _JobRegistrar[State]:
        """Run the decorated function at times of day; else as `every`.

        A time that passes while no replica runs is made up for at the next start, once.

        Args:
            times: ``03:30``, or the five fields of cron (minute, hour, day of the month, month,
                day of the week), such as ``*/5 * * * *``.
            zone: the time zone that they are meant in, such as "Europe/Berlin".
            on: as `every`.
            name: as `every`.
            limit_s: as `every`.

        Raises:
            ValueError: as `every`, or times or a zone that cannot be read.
        """
        return self._job(At(times, zone), on=on, name=name, limit_s=limit_s)

    def daemon(self, *, on: On = "one", name: str | None = None) -> _JobRegistrar[State]:
        """Keep the decorated function running; when it ends it is run again, after a while.

        Args:
            on: as `every`.
            name: as `every`.

        Raises:
            ValueError: as `every`.
        """
        return self._job(Always(), on=on, name=name, limit_s=None, is_daemon=True)

    def _job(self, timetable: Timetable, **options: Any) -> _JobRegistrar[State]:
        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            job = Job(function, timetable, **options)
            if any(other.name == job.name for other in self.jobs):
                raise ValueError(f"{self.contract.__name__} has two jobs named {job.name}")
            self.jobs.append(job)
            return function

        return cast("_JobRegistrar[State]", register)

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
