"""A call of another service, whose caller has an old address."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from balancer.wire import IncomingRequest
from services.kit.server import Answer, Incoming, RouteStats, Server, ServerSettings, Site
from services.kit.server import answer_head as head
from services.kit.server.exchange import Exchange


class Route:
    name = "users.fetch"
    body_limit: int | None = None

    def __init__(self) -> None:
        self.stats = RouteStats()
        self.begun = 0

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        async def work() -> None: ...

        self.begun += 1
        return work()

    def finish(self, result: Any) -> Answer:
        return Answer(200, head(200, "text/plain"), b"")


class Asked:
    """A replica of users that was asked once."""

    def __init__(
        self,
        headers: dict[bytes, bytes],
        *,
        method: bytes = b"GET",
        path: bytes = b"/x",
        service: str = "users",
    ) -> None:
        clock, self.route, site = Clock(), Route(), Site()
        site.add("GET", "/x", self.route)
        self.server = Server(
            site, ServerSettings(), clock=clock, wall=lambda: datetime.now(UTC), service=service
        )
        request = IncomingRequest(method, path, b"", headers)
        Exchange(self.server.serving, self, request).begin()

    def answer(self, request: IncomingRequest, answer: Answer, now: float) -> None:
        self.answered = answer


CALLER = {b"mesh-caller": b"web"}


@pytest.mark.parametrize(
    ("method", "path"), [(b"GET", b"/x"), (b"POST", b"/v1/products"), (b"OPTIONS", b"*")]
)
def test_it_is_refused_before_anything_is_begun(method: bytes, path: bytes) -> None:
    asked = Asked({b"host": b"products", **CALLER}, method=method, path=path)
    assert asked.answered.status == 421
    assert asked.answered.extra == b"Mesh-Nack: 1\r\n"
    problem = msgspec.json.decode(asked.answered.body)
    assert problem["type"] == "misdirected"
    assert "replica of users" in problem["detail"]
    assert asked.route.begun == 0
    assert asked.server.serving.meter.in_flight == 0


@pytest.mark.parametrize(
    "headers",
    [
        {b"host": b"users", **CALLER},
        {b"host": b"Users", **CALLER},
        {b"host": b"127.0.0.1:8001", **CALLER},
        {b"host": b"[::1]:8001", **CALLER},
        {b"host": b"users.example.com", **CALLER},
        {b"host": b"localhost", **CALLER},
        {b"host": b"localhost:8001", **CALLER},
        {b"host": b"", **CALLER},
        {**CALLER},
        {b"host": b"products"},  # no caller of the mesh
        {},
    ],
)
def test_whoever_else_comes_may_call_it_what_he_likes(headers: dict[bytes, bytes]) -> None:
    assert Asked(headers).answered.status == 200


def test_a_port_that_is_no_replicas_takes_all() -> None:
    assert Asked({b"host": b"products", **CALLER}, service="").answered.status == 200
