"""One request's life in the server, from the whole request to its answer.

The handler's coroutine is stepped by hand: most answers are ready without waiting for anything, and
for those no Deferred is made at all. It runs in a context of its own, which carries the caller's
deadline to every call that it makes.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from balancer import Ambient, current
from balancer.wire import IncomingRequest, parse_deadline

from ..answer import Answer
from ..problem import Problem, problem_answer, problem_of
from .serving import Serving
from .site import RouteStats

_NACK = b"Mesh-Nack: 1\r\n"
_PROBED = Answer(200, b"HTTP/1.1 200 OK\r\nContent-Length: ", b"")
# Greatest body (bytes) of a request that nothing serves: it is taken in only to be answered.
_UNROUTED_BYTES = 65_536


class Asker(Protocol):
    """What gets the answer: the connection on which the request came."""

    def answer(self, request: IncomingRequest, answer: Answer, now: float) -> None:
        """Take the answer to the request that runs."""


class Exchange:
    """A request and what becomes of it.

    Attributes:
        request: the whole request.
        values: the values of the path's fields, still quoted.
        deadline: when the caller stops waiting, in monotonic seconds.
        body_limit: the greatest body that it may have, in bytes; None for the general limit.
    """

    __slots__ = (
        "_arrived",
        "_asker",
        "_began",
        "_context",
        "_coroutine",
        "_ended",
        "_route",
        "_serving",
        "_waiting",
        "body_limit",
        "deadline",
        "due",
        "request",
        "values",
    )

    def __init__(self, serving: Serving, asker: Asker, request: IncomingRequest) -> None:
        """Take a request's head.

        Args:
            serving: what the port's connections share.
            asker: what gets the answer.
            request: its body may be still to come.
        """
        self._serving = serving
        self._asker = asker
        self.request = request
        self._arrived = serving.seconds()
        self._route, self.values = serving.site.find(request)
        route = self._route
        self.body_limit = route.body_limit if route is not None else _UNROUTED_BYTES
        self._waiting: Deferred[Any] | None = None
        self._ended = False
        self.due = 0

    def begin(self) -> None:
        """Answer the whole request now, or begin to; the asker is told either way."""
        serving = self._serving
        self._began = now = serving.seconds()
        request = self.request
        request.handle = None  # the two need not keep each other: the collector has no work then
        headers = request.headers
        # One look and one comparison for a call that is ours.
        misdirected = headers.get(b"host") != serving.host and serving.is_misdirected(headers)
        if (
            self._route is None
            and request.path == b"*"
            and request.method == b"OPTIONS"
            and not misdirected
        ):
            # A load probe: its answer is the load that every answer tells, and it adds none.
            self._ended = True
            serving.probes += 1
            self._asker.answer(request, _PROBED, now)
            return
        serving.meter.in_flight += 1
        sent_s = headers.get(b"mesh-deadline")
        left_s = parse_deadline(sent_s) if sent_s is not None else None
        longest_s = serving.settings.request_deadline_s
        if left_s is None or left_s > longest_s:
            left_s = longest_s
        self.deadline = deadline = self._arrived + left_s
        if misdirected:
            self._refuse_misdirected()
            return
        route = self._route
        if route is None:
            self._refuse_unrouted()
            return
        if now >= deadline:
            self._refuse(
                Problem(
                    504,
                    "deadline-exceeded",
                    detail="The caller's time was over before the request was begun.",
                ),
                _NACK,
            )
            return
        if serving.meter.in_flight > serving.settings.requests:
            self._refuse(
                Problem(
                    503,
                    "overloaded",
                    detail="This replica has as many requests as it takes; ask another.",
                ),
                # No Retry-After beside it: a second is the least that it can say, and a caller
                # whose deadline is sooner would give up where a moment later there is room.
                _NACK,
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
        problem = Problem(504, "deadline-exceeded", detail="The caller's time ran out; allow more.")
        # The handler may take its time to give up, and weighs on the replica until it has.
        self._end(problem_answer(problem), leaves=0)
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
                self._serving.sweep.add(self, self.deadline)
            self._waiting = awaited
            awaited.addBoth(self._resume)

    def _resume(self, result: Any) -> None:
        self._waiting = None
        self._step(result if isinstance(result, Failure) else None)

    def _returned(self, result: Any) -> None:
        if self._ended:
            self._serving.meter.in_flight -= 1
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
            self._serving.meter.in_flight -= 1
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
        route = self._route
        self._serving.report(route.name if route is not None else "unrouted", error)
        self._refuse(
            Problem(500, "internal", detail="The service failed; its log has the place."), b""
        )

    def _refuse(self, problem: Problem, extra: bytes) -> None:
        self._end(problem_answer(problem, extra))

    def _end(self, answer: Answer, leaves: int = 1) -> None:
        """Give the answer and count it; ``leaves`` is 0 while the handler runs on."""
        self._ended = True
        serving = self._serving
        if self.due:
            serving.sweep.remove(self)
        now = serving.seconds()
        # From the whole request: how long its body was on its way says nothing of this replica.
        latency_s = now - self._began
        # How fast it fails says nothing of how fast it works.
        serving.meter.ended(latency_s if answer.status < 500 else 0.0, leaves)
        stats: RouteStats = self._route.stats if self._route is not None else serving.unrouted
        stats.statuses[answer.status] = stats.statuses.get(answer.status, 0) + 1
        stats.latency_s.add(latency_s)
        self._asker.answer(self.request, answer, now)

    def _refuse_misdirected(self) -> None:
        own = self._serving.host.decode("ascii")
        problem = Problem(
            421,
            "misdirected",
            detail=f"This is a replica of {own}; whoever was asked has left this address.",
        )
        self._refuse(problem, _NACK)

    def _refuse_unrouted(self) -> None:
        methods = self._serving.site.methods(self.request.path)
        if methods:
            problem = Problem(405, "method-not-allowed", detail="Its methods are in Allow.")
            self._refuse(problem, b"Allow: %b\r\n" % b", ".join(methods))
            return
        self._refuse(
            Problem(
                404,
                "no-such-path",
                detail="Nothing is served at this path; a service port lists its own at "
                "/openapi.json.",
            ),
            b"",
        )
