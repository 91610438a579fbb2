"""Every wait ends: a peer that is slow or silent in any state is cut when that state's time is over."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from balancer.wire import IncomingRequest
from services.kit.server import Server, Site
from tests.integration.http.peer import Peer, connect, read_answers
from tests.integration.http.routes import EchoSite, FunctionRoute, Serve
from tests.processes import until

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
# The server looks at its connections every 0.25 s, and so may be late by that much.
SHORT_S = 0.5
LATE_S = 0.25
# What a busy machine may add.
SLACK_S = 1.0


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def dripping() -> AsyncIterator[list[LoopingCall]]:
    """Peers that send all the time; stopped at the end."""
    loops: list[LoopingCall] = []
    yield loops
    for loop in loops:
        if loop.running:
            loop.stop()


def drip(loops: list[LoopingCall], peer: Peer, data: bytes) -> None:
    """Send one byte every 20 ms, as long as there are any."""
    left = iter(data)

    def send() -> None:
        byte = next(left, None)
        if byte is None or peer.closed:
            loop.stop()
        else:
            peer.send(bytes([byte]))

    loop = LoopingCall(send)
    loops.append(loop)
    loop.start(0.02)


async def closed_after(peer: Peer, began: float) -> float:
    """How long it took from an instant until the server ended the connection."""
    await peer.until(lambda: peer.closed)
    return time.monotonic() - began


def in_time(took_s: float, allowed_s: float = SHORT_S) -> bool:
    return allowed_s - 0.05 <= took_s <= allowed_s + LATE_S + SLACK_S


async def test_a_peer_that_says_nothing_is_closed(serve: Serve) -> None:
    _, address = serve(EchoSite(), header_deadline_s=SHORT_S, idle_s=60.0)
    began = time.monotonic()
    peer = await connect(address)
    assert in_time(await closed_after(peer, began))
    assert peer.data == b""


@pytest.mark.parametrize("start", [b"", b"GET", GET[:-1], b"\r\n\r\n\r\n"])
async def test_a_head_that_is_not_finished_in_time(start: bytes, serve: Serve) -> None:
    server, address = serve(EchoSite(), header_deadline_s=SHORT_S, idle_s=60.0)
    began = time.monotonic()
    peer = await connect(address)
    peer.send(start)
    assert in_time(await closed_after(peer, began))
    partly = bool(start.strip())
    assert [answer.status for answer in read_answers(peer.data)] == [408] * partly
    assert server.serving.bad_messages == ({408: 1} if partly else {})


async def test_single_bytes_do_not_renew_the_time_of_a_head(
    serve: Serve, dripping: list[LoopingCall]
) -> None:
    server, address = serve(EchoSite(), header_deadline_s=SHORT_S, idle_s=60.0)
    began = time.monotonic()
    peer = await connect(address)
    drip(dripping, peer, GET[:-2] + b"X: " + b"y" * 1000)
    assert in_time(await closed_after(peer, began))
    assert server.serving.bad_messages == {408: 1}


async def test_empty_lines_do_not_renew_the_time_of_silence(
    serve: Serve, dripping: list[LoopingCall]
) -> None:
    _, address = serve(EchoSite(), header_deadline_s=SHORT_S, idle_s=60.0)
    began = time.monotonic()
    peer = await connect(address)
    drip(dripping, peer, b"\r\n" * 500)
    assert in_time(await closed_after(peer, began))


@pytest.mark.parametrize(
    "head",
    [
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
)
async def test_single_bytes_do_not_renew_the_time_of_a_body(
    head: bytes, serve: Serve, dripping: list[LoopingCall]
) -> None:
    server, address = serve(EchoSite(), body_deadline_s=SHORT_S)
    began = time.monotonic()
    peer = await connect(address)
    peer.send(head)
    drip(dripping, peer, b"x" * 1000)
    assert in_time(await closed_after(peer, began))
    (answer,) = read_answers(peer.data)
    assert answer.status == 408
    assert b"body" in answer.body
    assert server.serving.bad_messages == {408: 1}


async def test_a_body_has_its_own_time_after_a_slow_head(serve: Serve) -> None:
    _, address = serve(EchoSite(), header_deadline_s=SHORT_S, body_deadline_s=60.0)
    peer = await connect(address)
    peer.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh")
    began = time.monotonic()
    await until(lambda: time.monotonic() > began + SHORT_S + 2 * LATE_S, "the head's time is over")
    peer.send(b"i")
    assert (await peer.answer()).status == 200
    peer.hang_up()


async def test_an_idle_connection_is_closed_without_a_word(serve: Serve) -> None:
    _, address = serve(EchoSite(), idle_s=SHORT_S)
    peer = await connect(address)
    peer.send(GET)
    await peer.answer()
    assert in_time(await closed_after(peer, time.monotonic()))
    assert len(read_answers(peer.data)) == 1


async def test_requests_renew_the_time_of_idleness(
    serve: Serve, dripping: list[LoopingCall]
) -> None:
    _, address = serve(EchoSite(), idle_s=SHORT_S, header_deadline_s=SHORT_S)
    peer = await connect(address)
    loop = LoopingCall(lambda: peer.send(GET))
    dripping.append(loop)
    loop.start(SHORT_S / 3)
    await peer.answers(12)
    loop.stop()
    assert not peer.closed
    assert in_time(await closed_after(peer, time.monotonic()))


async def test_the_next_head_has_the_time_of_a_head_not_of_idleness(serve: Serve) -> None:
    server, address = serve(EchoSite(), header_deadline_s=SHORT_S, idle_s=60.0)
    peer = await connect(address)
    began = time.monotonic()
    peer.send(GET + b"GET /y")
    assert in_time(await closed_after(peer, began))
    assert server.serving.bad_messages == {408: 1}


async def test_a_head_behind_a_slow_request_has_its_own_time(serve: Serve) -> None:
    waiting: Deferred[bytes] = Deferred()

    async def wait(_: IncomingRequest) -> bytes:
        return await waiting

    site = Site()
    site.add("GET", "/x", FunctionRoute(wait))
    server, address = serve(site, header_deadline_s=SHORT_S, idle_s=60.0)
    peer = await connect(address)
    began = time.monotonic()
    peer.send(GET + b"GET /y")
    await until(lambda: time.monotonic() > began + SHORT_S + 2 * LATE_S, "the head's time is over")
    assert not peer.closed
    began = time.monotonic()
    waiting.callback(b"done")
    assert in_time(await closed_after(peer, began))
    assert [answer.status for answer in read_answers(peer.data)] == [200, 408]
    assert server.serving.bad_messages == {408: 1}


async def _big(_: IncomingRequest) -> bytes:
    return b"x" * 1_000_000


def _big_site() -> Site:
    site = Site()
    site.add("GET", "/x", FunctionRoute(_big))
    return site


async def _stuck(server: Server) -> None:
    """Wait until answers lie unread: requests no longer come to be answered."""
    before = -1

    def same() -> bool:
        nonlocal before
        served = server.serving.site.routes[0].stats.statuses.get(200, 0)
        stuck = served == before
        before = served
        return stuck and served > 0

    await until(same, "the answers lie unread")


async def test_a_peer_that_never_reads_its_answers_is_cut(serve: Serve) -> None:
    server, address = serve(_big_site(), write_deadline_s=SHORT_S, idle_s=60.0)
    peer = await connect(address, reads=False)
    peer.send(GET * 100)
    began = time.monotonic()
    await until(lambda: server.connections, "the connection stands")
    await until(lambda: not server.connections, "the connection is cut")
    assert in_time(time.monotonic() - began)
    # No more was begun than what fits into the buffers of the kernel and one of ours.
    assert server.serving.site.routes[0].stats.statuses[200] < 20
    peer.hang_up()


async def test_a_peer_that_reads_late_gets_everything(serve: Serve) -> None:
    server, address = serve(_big_site(), write_deadline_s=60.0, header_deadline_s=SHORT_S)
    peer = await connect(address, reads=False)
    peer.send(GET * 40 + GET[:-2])
    await _stuck(server)
    began = time.monotonic()
    await until(lambda: time.monotonic() > began + SHORT_S + 2 * LATE_S, "the head's time is over")
    peer.read_on()
    peer.send(b"\r\n")
    await peer.until(lambda: peer.size > 41_000_000)
    answers = await peer.answers(41)
    assert {len(answer.body) for answer in answers} == {1_000_000}
    peer.hang_up()


async def test_a_last_answer_that_is_never_read_is_cut(serve: Serve) -> None:
    server, address = serve(_big_site(), write_deadline_s=SHORT_S)
    peer = await connect(address, reads=False)
    peer.send(GET * 8 + GET[:-2] + b"Connection: close\r\n\r\n")
    await until(lambda: server.connections, "the connection stands")
    await until(lambda: not server.connections, "the connection is cut")
    peer.hang_up()


async def test_a_refused_peer_that_stays_is_cut(serve: Serve) -> None:
    server, address = serve(EchoSite())
    peer = await connect(address, reads=False)
    peer.send(b"garbage\r\n\r\n")
    await until(lambda: server.serving.bad_messages, "it is refused")
    began = time.monotonic()
    await until(lambda: not server.connections, "the connection is cut")
    assert in_time(time.monotonic() - began, 2.0)
    peer.hang_up()
