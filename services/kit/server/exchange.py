"""One request's life in the server, from the whole request to its answer.

The handler's coroutine is stepped by hand: most answers are ready without waiting for anything, and
for those no Deferred is made at all. It runs in a context of its own, which carries the caller's
deadline to every call that it makes.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from balancer import Ambient, current
from balancer.wire import IncomingRequest, parse_deadline

from ..answer import Answer
from ..problem import Problem, problem_answer, problem_of
from .site import Matched, Route, RouteStats

if TYPE_CHECKING:
    from .connection import HttpConnection
    from .server import Server

_NACK = b"Mesh-Nack: 1\r\n"
_BUSY = b"Mesh-Nack: 1\r\nRetry-After: 1\r\n"


class Exchange:
    """A request and what becomes of it.

    Attributes:
        request: the whole request.
        values: the raw values of the path's fields.
        deadline: when the caller stops waiting, in monotonic seconds.
    """

    __slots__ = (
        "_arrived",
        "_connection",
        "_context",
        "_coroutine",
        "_ended",
        "_route",
        "_server",
        "_waiting",
        "deadline",
        "due",
        "request",
        "values",
    )

    def __init__(
        self, server: Server, connection: HttpConnection, request: IncomingRequest
    ) -> None:
        """Take a whole request.

        Args:
            server: whose request it is.
            connection: what gets the answer.
            request: routed already.
        """
        matched: Matched = request.route
        self._server = server
        self._connection = connection
        self.request = request
        self.values = matched.values
        self._route = matched.route
        self._arrived = matched.arrived
        self._waiting: Deferred[Any] | None = None
        self._ended = False
        self.due = 0

    def begin(self) -> None:
        """Answer it now, or begin to; the connection is told either way."""
        server = self._server
        server.meter.in_flight += 1
        headers = self.request.headers
        sent_s = headers.get(b"mesh-deadline")
        left_s = parse_deadline(sent_s) if sent_s is not None else None
        if left_s is None:
            left_s = server.settings.request_deadline_s
        self.deadline = deadline = self._arrived + left_s
        route = self._route
        if route is None:
            self._refuse(self._unrouted(), self._allow_line())
            return
        if server.seconds() >= deadline:
            self._refuse(
                Problem(
                    504,
                    "deadline-exceeded",
                    detail="The caller's time was over before the request was begun.",
                ),
                _NACK,
            )
            return
        if server.meter.in_flight > server.settings.requests:
            self._refuse(
                Problem(
                    503,
                    "overloaded",
                    detail="This replica has as many requests as it takes; ask another.",
                ),
                _BUSY,
            )
            return
        try:
            self._coroutine: Coroutine[Any, Any, Any] = route.begin(self)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes an answer
            self._failed(error)
            return
        self._context: Context = copy_context()
        self._context.run(current.set, Ambient(deadline, headers))
        self._step(None)

    def expired(self, now: float) -> None:
        """The deadline has come while the handler waits: answer, and have it give up."""
        self._refuse(
            Problem(504, "deadline-exceeded", detail="The caller's time ran out; allow more."), b""
        )
        if self._waiting is not None:
            self._waiting.cancel()

    def _step(self, failure: Failure | None) -> None:
        """Run the coroutine up to its next wait or its end."""
        try:
            if failure is None:
                awaited = self._context.run(self._coroutine.send, None)
            else:
                throw = cast("Any", failure).throwExceptionIntoGenerator
                awaited = self._context.run(throw, self._coroutine)
        except StopIteration as stop:
            self._returned(stop.value)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: no handler ends a replica
            self._failed(error)
        else:
            if not isinstance(awaited, Deferred):
                # Such as a future of asyncio: told at the await, where the mistake is.
                self._step(Failure(TypeError("a handler can await nothing but a Deferred")))
                return
            if not self.due and not self._ended:
                self._server.sweep.add(self, self.deadline)
            self._waiting = awaited
            awaited.addBoth(self._resume)

    def _resume(self, result: Any) -> None:
        self._waiting = None
        self._step(result if isinstance(result, Failure) else None)

    def _returned(self, result: Any) -> None:
        if self._ended:
            return
        route = self._route
        assert route is not None
        try:
            answer = route.finish(result)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes an answer
            self._failed(error)
        else:
            self._end(answer)

    def _failed(self, error: BaseException) -> None:
        if self._ended:
            return
        problem = problem_of(error) if isinstance(error, Exception) else None
        if problem is not None:
            try:
                answer = problem_answer(problem)
            except (TypeError, ValueError) as fault:
                error = fault  # a member of it is no JSON
            else:
                self._end(answer)
                return
        self._server.report(self._name(), error)
        self._refuse(
            Problem(500, "internal", detail="The service failed; its log has the place."), b""
        )

    def _refuse(self, problem: Problem, extra: bytes) -> None:
        self._end(problem_answer(problem, extra))

    def _end(self, answer: Answer) -> None:
        self._ended = True
        server = self._server
        if self.due:
            server.sweep.remove(self)
        now = server.seconds()
        latency_s = now - self._arrived
        server.meter.ended(latency_s)
        stats: RouteStats = self._route.stats if self._route is not None else server.unrouted
        stats.statuses[answer.status] = stats.statuses.get(answer.status, 0) + 1
        stats.latency_s.add(latency_s)
        self._connection.answer(self.request, answer, now)

    def _name(self) -> str:
        route: Route | None = self._route
        return route.name if route is not None else "unrouted"

    def _unrouted(self) -> Problem:
        if self.request.route.allowed:
            return Problem(405, "method-not-allowed", detail="Its methods are in Allow.")
        return Problem(
            404, "no-such-path", detail="Nothing is served at this path; /openapi.json lists all."
        )

    def _allow_line(self) -> bytes:
        allowed: bytes = self.request.route.allowed
        return b"Allow: %b\r\n" % allowed if allowed else b""
