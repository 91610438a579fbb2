"""For the tests of services: handlers answered in the same process, without sockets or real time.

::

    mesh = InProcessMesh()
    async with open_directory(mesh.kit(tmp_path)) as directory:
        mesh.serve(service, directory)
        user = await mesh.client(Users).fetch(id="u_...")

A job is a function: ``await tidy(Run(directory, mesh.wall))`` runs it once. To see it run in its
time::

    schedule = mesh.schedule(service, directory)
    mesh.advance(60.0)
    await schedule.stop(0.0)

A request is encoded, routed, decoded, validated and answered as on a port; only the bytes' way
between is left out. The services that a handler calls are those that the same mesh serves. Errors
reach the caller as from the real mesh, except a fault that nobody foresaw: it comes as it is.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from balancer import Reply
from balancer.testing import FakeRegistry
from balancer.wire import IncomingRequest
from clients.contract import (
    AnswerDecoder,
    Call,
    CallOptions,
    Contract,
    Message,
    RequestEncoder,
)
from clients.refusal import refusal

from .problem import problem_answer, problem_of
from .runtime import Kit
from .schedule import Schedule
from .service import CallRoute, Service

Client = TypeVar("Client", bound=Contract)
Answer = TypeVar("Answer", bound=Message)
State = TypeVar("State")

# Long enough that no test meets it by accident; the clock moves only when a test says so.
_DEADLINE_S = 60.0


class InProcessMesh:
    """Carries calls straight to services' handlers.

    Attributes:
        calls: the names of all calls made, such as "users.fetch", in order.
        clock: the time of `kit`; `advance` lets it pass.
        wall: what ``kit.wall()`` says; set it as you like.
        registry: keeps the locks of jobs.
    """

    def __init__(self) -> None:
        """Begin without services, at a fixed time."""
        self.calls: list[str] = []
        self.clock = Clock()
        self.wall = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.registry = FakeRegistry()
        self._schedules = 0
        self._routes: dict[Call[Any, Any, Any], CallRoute[Any]] = {}

    def kit(self, folder: Path, *, sample_data: bool = False) -> Kit:
        """What a service is given at its start.

        Args:
            folder: where its records are.
            sample_data: whether an empty store is filled.
        """
        return Kit(
            clock=cast("Any", self.clock),
            wall=lambda: self.wall,
            rng=random.Random(7),  # noqa: S311 - the same in every run
            mesh=cast("Any", self),
            storage_folder=folder,
            sample_data=sample_data,
            log=Logger("test"),
        )

    def serve(self, service: Service[State], state: State) -> None:
        """Answer a service's calls from now on.

        Args:
            service: whose handlers.
            state: what they share.
        """
        self._routes.update(service.routes(state))

    def schedule(self, service: Service[State], state: State) -> Schedule:
        """Run a service's jobs from now on, as one more of its processes.

        Args:
            service: whose jobs.
            state: what their runs share.

        Returns:
            What to stop them with.
        """
        self._schedules += 1
        schedule = Schedule(
            service.contract.service,
            service.jobs,
            state,
            registry=self.registry,
            holder=f"test-{self._schedules}",
            clock=cast("Any", self.clock),
            wall=lambda: self.wall,
            rng=random.Random(self._schedules),  # noqa: S311 - the same in every run
            log=Logger("test"),
        )
        schedule.start()
        schedule.contend()
        return schedule

    def advance(self, seconds: float) -> None:
        """Let time pass, by the clock and the wall alike, with all that is due in its turn.

        Args:
            seconds: how much of it.
        """
        end = self.clock.seconds() + seconds
        while due := [call for call in self.clock.getDelayedCalls() if call.getTime() <= end]:
            self._move(min(call.getTime() for call in due))
        self._move(end)

    def _move(self, to: float) -> None:
        step_s = max(0.0, to - self.clock.seconds())
        self.wall += timedelta(seconds=step_s)
        self.clock.advance(step_s)

    def client(self, contract: type[Client]) -> Client:
        """The typed client of a service, as `clients.Mesh` gives it."""
        return contract(self)

    def carry(
        self, call: Call[Any, Any, Answer], message: Message, options: CallOptions | None
    ) -> Deferred[Answer]:
        """Make one call; see `clients.contract.Carrier`."""
        self.calls.append(f"{call.service}.{call.name}")
        return Deferred.fromCoroutine(self._carry(call, message, options))

    async def _carry(
        self, call: Call[Any, Any, Answer], message: Message, options: CallOptions | None
    ) -> Answer:
        incoming = _Incoming(call, message, options, self.clock.seconds() + _DEADLINE_S)
        route = self._routes[call]
        try:
            answer = route.finish(await route.begin(incoming))
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                # On a port it were a 500 without its cause; a test is to see where it came from.
                raise
            told = problem_answer(problem)
            reply = Reply(told.status, [], told.body)
            raise refusal(call.service, call.name, reply) from None
        return AnswerDecoder(call).decode(answer.body)


class _Incoming:
    """A call as its route sees it; see `services.kit.server.Incoming`."""

    def __init__(
        self,
        call: Call[Any, Any, Any],
        message: Message,
        options: CallOptions | None,
        deadline: float,
    ) -> None:
        target, body = RequestEncoder(call).encode(message)
        path, _, query = target.partition(b"?")
        headers = {b"mesh-caller": b"test"}
        if options is not None and options.idempotency_key is not None:
            headers[b"idempotency-key"] = options.idempotency_key.encode("ascii")
        self.request = IncomingRequest(call.method.encode("ascii"), path, query, headers)
        self.request.body = body
        parts = zip(call.path.segments, path.split(b"/")[1:], strict=True)
        self.values = [value.decode("ascii") for segment, value in parts if segment is None]
        self.deadline = deadline
