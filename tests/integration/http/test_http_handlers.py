"""Whatever a handler does, its request is answered in time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from balancer import DeadlineExceeded, ReplyLost, current
from balancer.wire import IncomingRequest
from services.kit import Problem
from services.kit.server import Server, Site
from tests.integration.http.peer import Received, connect
from tests.integration.http.routes import FunctionRoute, Handler, Serve
from tests.processes import until

SECRET = "maria@example.com"


def _serving(handler: Handler, serve: Serve, **settings: Any) -> tuple[FunctionRoute, Server, str]:
    route = FunctionRoute(handler)
    site = Site()
    site.add("GET", "/v1/work", route)
    server, address = serve(site, **settings)
    return route, server, address


def _get(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /v1/work HTTP/1.1", b"Host: a", *lines, b"", b""])


async def _problem(address: str, *lines: bytes) -> tuple[Received, dict[str, Any]]:
    """Ask, and check that the connection goes on after a problem."""
    peer = await connect(address)
    peer.send(_get(*lines) * 2)
    answer, again = await peer.answers(2)
    assert answer.status == again.status
    assert answer.headers[b"content-type"] == b"application/problem+json"
    peer.hang_up()
    return answer, json.loads(answer.body)


async def _raises() -> bytes:
    raise KeyError(SECRET)


async def _raises_late() -> bytes:
    await _soon()
    raise ValueError(SECRET)


async def _exits() -> bytes:
    sys.exit(SECRET)


async def _awaits_asyncio() -> bytes:
    await asyncio.sleep(0)
    return b""


async def _cancelled() -> bytes:
    raise asyncio.CancelledError(SECRET)


async def _bad_problem() -> bytes:
    raise Problem(409, "stale", detail="", thing=object())


async def _unwritable_problem() -> bytes:
    raise Problem(409, "stale", detail="\ud800")


def _soon() -> Deferred[None]:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    return deferLater(reactor, 0, lambda: None)


@pytest.mark.parametrize(
    "work",
    [
        _raises,
        _raises_late,
        _exits,
        _awaits_asyncio,
        _cancelled,
        _bad_problem,
        _unwritable_problem,
    ],
)
async def test_a_fault_is_a_500_that_tells_nothing(
    work: Any, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    async def handler(_: IncomingRequest) -> bytes:
        answer: bytes = await work()
        return answer

    _, server, address = _serving(handler, serve)
    answer, problem = await _problem(address)
    assert (answer.status, problem["type"]) == (500, "internal")
    assert SECRET.encode() not in answer.body
    assert server.serving.meter.in_flight == 0
    assert SECRET not in "".join(capsys.readouterr())


async def test_an_answer_that_cannot_be_made_is_a_500(serve: Serve) -> None:
    class Route(FunctionRoute):
        def finish(self, result: bytes) -> Any:
            raise TypeError(SECRET)

    async def handler(_: IncomingRequest) -> bytes:
        return b""

    site = Site()
    site.add("GET", "/v1/work", Route(handler))
    server, address = serve(site)
    answer, _ = await _problem(address)
    assert answer.status == 500
    assert server.serving.meter.in_flight == 0


async def test_a_request_that_cannot_be_begun_is_a_500(serve: Serve) -> None:
    class Route(FunctionRoute):
        def begin(self, incoming: Any) -> Coroutine[Any, Any, Any]:
            raise RuntimeError(SECRET)

    async def handler(_: IncomingRequest) -> bytes:
        return b""

    site = Site()
    site.add("GET", "/v1/work", Route(handler))
    _, address = serve(site)
    answer, _ = await _problem(address)
    assert answer.status == 500


async def test_problems_are_told_as_they_are(serve: Serve) -> None:
    async def handler(_: IncomingRequest) -> bytes:
        raise Problem(409, "stale-version", detail="It has version 3.", version=3)

    _, _, address = _serving(handler, serve)
    answer, problem = await _problem(address)
    assert answer.status == 409
    assert problem == {
        "type": "stale-version",
        "title": "Stale version",
        "status": 409,
        "detail": "It has version 3.",
        "version": 3,
    }


@pytest.mark.parametrize(
    ("error", "status"), [(DeadlineExceeded("x"), 504), (ReplyLost("x", sent=True), 503)]
)
async def test_a_dependency_that_fails(error: Exception, status: int, serve: Serve) -> None:
    async def handler(_: IncomingRequest) -> bytes:
        raise error

    _, _, address = _serving(handler, serve)
    answer, _ = await _problem(address)
    assert answer.status == status
    assert b"mesh-nack" not in answer.headers


async def test_a_deadline_that_is_over_is_not_begun(serve: Serve) -> None:
    async def handler(_: IncomingRequest) -> bytes:
        return b""

    route, server, address = _serving(handler, serve)
    answer, problem = await _problem(address, b"Mesh-Deadline: 0")
    assert (answer.status, problem["type"]) == (504, "deadline-exceeded")
    assert answer.headers[b"mesh-nack"] == b"1"
    assert route.calls == 0
    assert server.serving.meter.in_flight == 0


async def test_a_deadline_that_passes_in_the_queue_is_not_begun(serve: Serve) -> None:
    waiting: Deferred[bytes] = Deferred()

    async def handler(_: IncomingRequest) -> bytes:
        return await waiting

    route, _, address = _serving(handler, serve)
    peer = await connect(address)
    peer.send(_get() + _get(b"Mesh-Deadline: 1"))
    await until(lambda: route.calls, "the first one runs")
    await _soon()
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0.05, lambda: None)
    waiting.callback(b"")
    first, second = await peer.answers(2)
    assert (first.status, second.status) == (200, 504)
    assert second.headers[b"mesh-nack"] == b"1"
    assert route.calls == 1
    peer.hang_up()


@pytest.mark.parametrize("value", [b"soon", b"-1", b"1e3", b" ", b"9999999999", b"5.5", b"0x10"])
async def test_a_deadline_that_is_none_is_passed_over(value: bytes, serve: Serve) -> None:
    async def handler(_: IncomingRequest) -> bytes:
        return b"done"

    _, _, address = _serving(handler, serve)
    peer = await connect(address)
    peer.send(_get(b"Mesh-Deadline: " + value))
    assert (await peer.answer()).status == 200
    peer.hang_up()


async def test_the_deadline_cancels_a_handler_that_waits(serve: Serve) -> None:
    seen: list[str] = []

    async def handler(_: IncomingRequest) -> bytes:
        try:
            await Deferred(lambda _: seen.append("cancelled"))
        except CancelledError:
            seen.append("told")
            raise
        finally:
            seen.append("cleaned up")
        return b""

    _, server, address = _serving(handler, serve)
    peer = await connect(address)
    peer.send(_get(b"Mesh-Deadline: 50") + _get(b"Mesh-Deadline: 0"))
    answer, following = await peer.answers(2)
    assert (answer.status, following.status) == (504, 504)
    # It was begun: nobody may take it for safe to be asked again.
    assert b"mesh-nack" not in answer.headers
    await until(lambda: len(seen) == 3, "the handler has given up")
    assert seen == ["cancelled", "told", "cleaned up"]
    assert server.serving.meter.in_flight == 0
    peer.hang_up()


async def test_a_handler_that_will_not_give_up_costs_only_itself(serve: Serve) -> None:
    ends: list[Deferred[None]] = []

    async def handler(_: IncomingRequest) -> bytes:
        try:
            await Deferred()
        except CancelledError:
            ends.append(Deferred())
            await ends[-1]
        return b"too late"

    _, server, address = _serving(handler, serve)
    answer, _ = await _problem(address, b"Mesh-Deadline: 20")
    assert answer.status == 504
    # It is answered, and still costs the replica what a request costs.
    assert server.serving.meter.in_flight == 1
    for end in ends:
        end.callback(None)
    assert server.serving.meter.in_flight == 0


async def test_handlers_that_run_on_count_as_requests(serve: Serve) -> None:
    """However many deadlines pass, no more run than are allowed; and a drain waits for them."""
    ends: list[Deferred[None]] = []

    async def handler(_: IncomingRequest) -> bytes:
        ends.append(Deferred())
        try:
            await Deferred()
        except CancelledError:
            await ends[-1]
        return b"too late"

    _, server, address = _serving(handler, serve, requests=2)
    types = [(await _problem(address, b"Mesh-Deadline: 20"))[1]["type"] for _ in range(4)]
    assert types == ["deadline-exceeded", "deadline-exceeded", "overloaded", "overloaded"]
    assert len(ends) == 2
    drained = server.drain(10.0)
    server.close_port()
    await until(lambda: not server.connections, "no connection is left")
    assert not drained.called
    for end in ends:
        end.callback(None)
    assert await drained is True


async def test_a_handler_that_blocks_past_its_deadline_is_stopped_at_its_wait(
    serve: Serve,
) -> None:
    import time

    async def handler(_: IncomingRequest) -> bytes:
        time.sleep(0.05)  # it blocks: that is the fault which is tested
        await Deferred()
        return b""

    _, _, address = _serving(handler, serve)
    answer, _ = await _problem(address, b"Mesh-Deadline: 10")
    assert answer.status == 504


async def test_too_many_requests_are_sent_elsewhere(serve: Serve) -> None:
    waiting: list[Deferred[bytes]] = []

    async def handler(_: IncomingRequest) -> bytes:
        waiting.append(Deferred())
        return await waiting[-1]

    route, server, address = _serving(handler, serve, requests=2)
    busy = [await connect(address) for _ in range(2)]
    for peer in busy:
        peer.send(_get())
    await until(lambda: len(waiting) == 2, "both run")
    answer, problem = await _problem(address)
    assert (answer.status, problem["type"]) == (503, "overloaded")
    assert answer.headers[b"mesh-nack"] == b"1"
    assert b"retry-after" not in answer.headers
    assert route.calls == 2
    for deferred in list(waiting):
        deferred.callback(b"done")
    for peer in busy:
        assert (await peer.answer()).status == 200
    assert server.serving.meter.in_flight == 0
    again = await connect(address)
    again.send(_get())
    await until(lambda: len(waiting) == 3, "there is room again")
    waiting[-1].callback(b"done")
    assert (await again.answer()).status == 200
    for peer in [*busy, again]:
        peer.hang_up()


async def test_a_handler_goes_on_when_its_caller_has_left(serve: Serve) -> None:
    waiting: Deferred[bytes] = Deferred()
    seen: list[str] = []

    async def handler(_: IncomingRequest) -> bytes:
        result = await waiting
        seen.append("done")
        return result

    route, server, address = _serving(handler, serve)
    peer = await connect(address)
    peer.send(_get())
    await until(lambda: route.calls, "it runs")
    peer.hang_up()
    await until(lambda: not server.connections, "the connection is forgotten")
    assert server.serving.meter.in_flight == 1
    waiting.callback(b"")
    assert seen == ["done"]
    assert server.serving.meter.in_flight == 0


async def test_each_request_has_its_own_circumstances(serve: Serve) -> None:
    seen: list[str] = []

    async def handler(_: IncomingRequest) -> bytes:
        before = current.get()
        await _soon()
        after = current.get()
        assert before is after
        assert after is not None
        seen.append(after.headers[b"mesh-site"].decode())
        return b""

    _, _, address = _serving(handler, serve)
    peers = [await connect(address) for _ in range(3)]
    for number, peer in enumerate(peers):
        peer.send(_get(b"Mesh-Site: site-%d" % number))
    for peer in peers:
        assert (await peer.answer()).status == 200
        peer.hang_up()
    assert sorted(seen) == ["site-0", "site-1", "site-2"]
    assert current.get() is None
