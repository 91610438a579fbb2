"""What a port serves: routes, and the answers for whatever has none."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from balancer.telemetry import Histogram
from balancer.wire import IncomingRequest
from clients.contract import PathTemplate

from ..answer import Answer
from .router import Router

# Upper bounds of the latency metric (seconds): from a cached read to a caller's patience.
LATENCY_BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip


class RouteStats:
    """What is counted of one route.

    Attributes:
        statuses: answers by HTTP status.
        latency_s: from the whole request to its answer, in seconds.
    """

    __slots__ = ("latency_s", "statuses")

    def __init__(self) -> None:
        """Begin at nought."""
        self.statuses: dict[int, int] = {}
        self.latency_s = Histogram(LATENCY_BOUNDS_S)


class Incoming(Protocol):
    """What a route needs to know of the request's circumstances.

    Attributes:
        request: the whole request.
        values: the values of the path's fields, still quoted.
        deadline: when the caller stops waiting, in monotonic seconds.
    """

    request: IncomingRequest
    values: list[str]
    deadline: float


class Route(Protocol):
    """One method on one path.

    Attributes:
        name: for metrics, such as "users.fetch".
        body_limit: greatest body in bytes; None for the general limit.
        stats: what is counted of it.
    """

    name: str
    body_limit: int | None
    stats: RouteStats

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        """Check a request and make the work of answering it; the work is not started.

        Raises:
            Exception: what `services.kit.problem.problem_of` understands.
        """

    def finish(self, result: Any) -> Answer:
        """Make the answer of what the work returned."""


class Site:
    """The routes of one port.

    Attributes:
        routes: all of them, for metrics.
    """

    def __init__(self) -> None:
        """Begin without routes."""
        self._router: Router[Route] = Router()
        self.routes: list[Route] = []

    def add(self, method: str, path: str | PathTemplate, route: Route) -> None:
        """Serve a method and path.

        Raises:
            ValueError: a bad path, or one that is served already.
        """
        template = PathTemplate(path) if isinstance(path, str) else path
        self._router.add(method, template, route)
        self.routes.append(route)

    def find(self, request: IncomingRequest) -> tuple[Route | None, list[str]]:
        """What serves a request, by its head.

        Returns:
            The route, or None when nothing serves it; and the values of the path's fields, quoted.
        """
        found = self._router.find(request.path)
        if found is None:
            return None, []
        routes, values = found
        method = request.method
        return routes.get(b"GET" if method == b"HEAD" else method), values

    def methods(self, path: bytes) -> list[bytes]:
        """The methods that a path has; none when nothing is there."""
        found = self._router.find(path)
        if found is None:
            return []
        return sorted({*found[0], *([b"HEAD"] if b"GET" in found[0] else [])})
