"""What a request costs, in virtual time."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from twisted.internet.task import Clock

from balancer.wire import IncomingRequest
from services.kit.server import Answer, Incoming, RouteStats, Server, ServerSettings, Site
from services.kit.server import answer_head as head
from services.kit.server.exchange import Exchange


class Route:
    name = "test.route"
    body_limit: int | None = None

    def __init__(self) -> None:
        self.stats = RouteStats()

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        async def work() -> None: ...

        return work()

    def finish(self, result: Any) -> Answer:
        return Answer(200, head(200, "text/plain"), b"")


class Asker:
    def __init__(self) -> None:
        self.statuses: list[int] = []

    def answer(self, request: IncomingRequest, answer: Answer, now: float) -> None:
        self.statuses.append(answer.status)


def test_the_way_of_a_body_is_no_latency_but_counts_to_the_deadline() -> None:
    clock, asker, route, site = Clock(), Asker(), Route(), Site()
    site.add("POST", "/x", route)
    server = Server(site, ServerSettings(), clock=clock, wall=lambda: datetime.now(UTC))
    serving = server.serving
    for waits_s in (1.0, 3.0):
        headers = {b"mesh-deadline": b"2000"}
        request = IncomingRequest(b"POST", b"/x", b"", headers)
        exchange = Exchange(serving, asker, request)
        clock.advance(waits_s)
        exchange.begin()
    assert asker.statuses == [200, 504]
    assert route.stats.latency_s.total == 2
    assert route.stats.latency_s.sum == 0.0
    assert serving.meter.report(clock.seconds()).latency_ms == 0.0
    assert serving.meter.in_flight == 0
