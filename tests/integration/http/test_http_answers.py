"""What peers get to see: order, forms and the end of connections."""

from __future__ import annotations

import json

import pytest
from twisted.internet.defer import Deferred

from balancer.wire import IncomingRequest
from services.kit.server import Site
from tests.integration.http.peer import Peer, connect, read_answers
from tests.integration.http.routes import EchoSite, FunctionRoute, Serve
from tests.processes import until

GET = b"GET /v1/say/%d HTTP/1.1\r\nHost: a\r\n\r\n"


class Waits:
    """A handler each request of which waits until it is let go."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Deferred[bytes]]] = []

    async def __call__(self, request: IncomingRequest) -> bytes:
        deferred: Deferred[bytes] = Deferred()
        self.waiting.append((request.path, deferred))
        return await deferred


async def _say(request: IncomingRequest) -> bytes:
    return request.path + request.body


def _site() -> Site:
    site = Site()
    site.add("GET", "/v1/say/{word}", FunctionRoute(_say))
    site.add("POST", "/v1/say/{word}", FunctionRoute(_say))
    site.add("DELETE", "/v1/gone", FunctionRoute(_say))
    return site


async def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    peer.send(b"".join(GET % number for number in range(3000)))
    answers = await peer.answers(3000)
    assert [answer.body for answer in answers] == [b"/v1/say/%d" % n for n in range(3000)]
    peer.hang_up()


async def test_a_slow_answer_holds_up_those_behind_it(serve: Serve) -> None:
    waits = Waits()
    site = _site()
    site.add("GET", "/v1/slow", FunctionRoute(waits))
    server, address = serve(site)
    peer = await connect(address)
    slow = b"GET /v1/slow HTTP/1.1\r\nHost: a\r\n\r\n"
    peer.send(GET % 1 + slow + GET % 2 + slow + GET % 3)
    await peer.answers(1)
    await until(lambda: waits.waiting, "the slow one runs")
    assert server.serving.meter.in_flight == 1
    waits.waiting.pop()[1].callback(b"first")
    await peer.answers(3)
    waits.waiting.pop()[1].callback(b"second")
    answers = await peer.answers(5)
    said = [answer.body for answer in answers]
    assert said == [b"/v1/say/1", b"first", b"/v1/say/2", b"second", b"/v1/say/3"]
    peer.hang_up()


async def test_a_peer_that_sends_far_ahead_is_not_read_on(serve: Serve) -> None:
    waits = Waits()
    site = Site()
    site.add("GET", "/v1/say/{word}", FunctionRoute(waits))
    server, address = serve(site)
    peer = await connect(address)
    peer.send(b"".join(GET % number for number in range(1000)))
    await until(lambda: waits.waiting, "the first one runs")
    (connection,) = server._connections
    await until(lambda: connection._paused, "it is not read on")
    for number in range(1000):
        await until(lambda: waits.waiting, "the next one runs")
        path, deferred = waits.waiting.pop()
        assert path == b"/v1/say/%d" % number
        assert not waits.waiting
        deferred.callback(b"")
    assert len(await peer.answers(1000)) == 1000
    peer.hang_up()


async def test_every_answer_has_its_date_and_load(serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    peer.send(GET % 1)
    headers = (await peer.answer()).headers
    assert headers[b"date"] == b"Fri, 20 Nov 2026 00:00:00 GMT"
    assert headers[b"mesh-load"].startswith(b"in-flight=0, latency-ms=")
    assert headers[b"content-type"] == b"text/plain"
    assert b"connection" not in headers
    peer.hang_up()


async def test_head_has_the_length_of_get_and_no_body(serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    for path, status in {b"/v1/say/1": 200, b"/nowhere": 404}.items():
        peer.clear()
        peer.send(b"HEAD " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await peer.answer(head=True)
        assert head.status == status
        assert peer.data.endswith(b"\r\n\r\n")
        peer.clear()
        peer.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        get = await peer.answer()
        assert head.headers[b"content-length"] == get.headers[b"content-length"]
        assert get.status == status
    peer.hang_up()


async def test_a_load_probe_is_told_the_load_and_adds_none(serve: Serve) -> None:
    server, address = serve(_site())
    peer = await connect(address)
    peer.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await peer.answer()
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[b"mesh-load"].startswith(b"in-flight=0,")
    assert server.serving.probes == 1
    assert not server.serving.unrouted.statuses
    peer.hang_up()


async def test_paths_and_methods_that_are_not_served(serve: Serve) -> None:
    server, address = serve(_site())
    peer = await connect(address)
    wanted = {
        b"GET /": (404, None),
        b"GET /v1": (404, None),
        b"GET /v1/say": (404, None),
        b"GET /v1/say/": (404, None),
        b"GET //v1/say/1": (404, None),
        b"GET /v1%2Fsay/1": (404, None),
        b"GET /v1/gone": (405, b"DELETE"),
        b"PUT /v1/say/1": (405, b"GET, HEAD, POST"),
        b"TRACE /v1/say/1": (405, b"GET, HEAD, POST"),
    }
    for line in wanted:
        peer.send(line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    answers = await peer.answers(len(wanted))
    got = [(answer.status, answer.headers.get(b"allow")) for answer in answers]
    assert got == list(wanted.values())
    for answer in answers:
        problem = json.loads(answer.body)
        assert problem["status"] == answer.status
        assert answer.headers[b"content-type"] == b"application/problem+json"
    assert server.serving.unrouted.statuses == {404: 6, 405: 3}
    peer.hang_up()


@pytest.mark.parametrize(
    "stream",
    [
        b"GET /v1/say/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /v1/say/1 HTTP/1.1\r\nHost: a\r\nConnection: Close, x\r\n\r\n",
        b"GET /v1/say/1 HTTP/1.0\r\n\r\n",
        b"GET /v1/say/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"POST /v1/say/1 HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        b"GET /v1/say/1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI",
        b"GET /v1/say/1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
async def test_the_last_request_of_a_connection(stream: bytes, serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    peer.send(stream)
    answer = await peer.only_answer_then_closed()
    assert (answer.status, answer.body) == (200, b"/v1/say/1")


@pytest.mark.parametrize("rest", [GET % 2, b"garbage\r\n\r\n", b"x" * 300_000])
async def test_what_follows_the_last_request_does_not_cost_its_answer(
    rest: bytes, serve: Serve
) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    peer.send(b"GET /v1/say/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + rest)
    answer = await peer.only_answer_then_closed()
    assert (answer.status, answer.body) == (200, b"/v1/say/1")


async def test_connect_opens_no_tunnel(serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    peer.send(b"CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n" + GET % 1)
    assert (await peer.only_answer_then_closed()).status == 404


async def test_continue_is_sent_when_the_body_is_waited_for(serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    head = (
        b"POST /v1/say/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    for _ in range(2):
        peer.clear()
        peer.send(head)
        (interim,) = await peer.answers(1)
        assert interim.status == 100
        assert peer.data == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"hi")
        answers = await peer.answers(2)
        assert (answers[1].status, answers[1].body) == (200, b"/v1/say/1hi")
    peer.clear()
    peer.send(head + b"hi" + GET % 2)
    assert [answer.status for answer in await peer.answers(2)] == [200, 200]
    peer.hang_up()


async def test_continue_waits_for_its_turn(serve: Serve) -> None:
    waits = Waits()
    site = _site()
    site.add("GET", "/v1/slow", FunctionRoute(waits))
    _, address = serve(site)
    peer = await connect(address)
    peer.send(b"GET /v1/slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: waits.waiting, "the slow one runs")
    peer.send(
        b"POST /v1/say/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    waits.waiting.pop()[1].callback(b"slow")
    assert [answer.status for answer in await peer.answers(2)] == [200, 100]
    peer.send(b"hi")
    assert [answer.status for answer in await peer.answers(3)] == [200, 100, 200]
    peer.hang_up()


async def test_continue_is_not_sent_for_a_body_that_is_too_long(serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    peer.send(
        b"POST /v1/say/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert (await peer.only_answer_then_closed()).status == 413


async def test_no_more_connections_than_allowed(serve: Serve) -> None:
    server, address = serve(_site(), connections=2)
    peers = [await connect(address) for _ in range(2)]
    await until(lambda: server.connections == 2, "both stand")
    third = await connect(address)
    await third.until(lambda: third.closed)
    assert third.data == b""
    for peer in peers:
        peer.send(GET % 1)
        assert (await peer.answer()).status == 200
    peers[0].hang_up()
    await until(lambda: server.connections == 1, "the place is free")
    fourth = await connect(address)
    fourth.send(GET % 1)
    assert (await fourth.answer()).status == 200
    for peer in (peers[1], fourth):
        peer.hang_up()


async def test_a_drain_answers_what_is_there_and_says_close(serve: Serve) -> None:
    waits = Waits()
    site = _site()
    site.add("GET", "/v1/slow", FunctionRoute(waits))
    server, address = serve(site, drain_notice_s=0.01)
    idle = await connect(address)
    idle.send(GET % 1)
    await idle.answer()
    busy = await connect(address)
    busy.send(b"GET /v1/slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET % 2)
    await until(lambda: waits.waiting, "the slow one runs")
    drained = server.drain(10.0)
    await idle.until(lambda: idle.closed)
    server.close_port()
    waits.waiting.pop()[1].callback(b"slow")
    answer = await busy.only_answer_then_closed()
    assert answer.body == b"slow"
    assert b"draining" in answer.headers[b"mesh-load"]
    assert await drained is True


async def test_a_drain_that_takes_too_long_cuts(serve: Serve) -> None:
    waits = Waits()
    site = Site()
    site.add("GET", "/v1/slow", FunctionRoute(waits))
    server, address = serve(site, request_deadline_s=0.5)
    peer = await connect(address)
    peer.send(b"GET /v1/slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: waits.waiting, "the slow one runs")
    assert await server.drain(0.1) is False
    await peer.until(lambda: peer.closed)
    assert read_answers(peer.data) == []


async def test_a_peer_that_leaves_is_forgotten(serve: Serve) -> None:
    server, address = serve(EchoSite())
    for start in (b"", b"GET", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"garbage\r\n\r\n"):
        peer: Peer = await connect(address)
        await until(lambda: server.connections, "it stands")
        peer.send(start)
        peer.hang_up()
        await until(lambda: not server.connections, "it is forgotten")


async def test_who_sends_many_at_once_does_not_hold_up_others(serve: Serve) -> None:
    served: list[bytes] = []

    async def note(request: IncomingRequest) -> bytes:
        served.append(request.path)
        return b""

    site = Site()
    site.add("GET", "/v1/say/{word}", FunctionRoute(note))
    _, address = serve(site)
    many, one = await connect(address), await connect(address)
    many.send(GET % 0 * 20_000)
    for _ in range(5):
        before = len(served)
        one.clear()
        one.send(GET % 1)
        await one.answer()
        position = served.index(b"/v1/say/1", before)
        # Some 8 KiB of requests a turn, and a few turns until the request has come. One read of
        # the kernel's is eight times as much.
        assert position - before < 1500
    await until(lambda: len(served) == 20_005, "all are served")
    many.hang_up()
    one.hang_up()
