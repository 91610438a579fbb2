"""What the server must not take: one answer, then the end of the connection."""

from __future__ import annotations

import json

import pytest
from twisted.internet.task import deferLater

from balancer.wire import WireLimits
from services.kit.server import Server, Site
from tests.integration.http.peer import Peer, connect, read_answers
from tests.integration.http.routes import EchoSite, FunctionRoute, Serve, describe

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
END = b"\r\n"

REFUSED = {
    "no host": (400, b"GET /x HTTP/1.1\r\n\r\n"),
    "two hosts": (400, GET + b"Host: a\r\n\r\n"),
    "host with a space": (400, b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "host with a path": (400, b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "host with a user": (400, b"GET /x HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    "empty host": (400, b"GET /x HTTP/1.1\r\nHost: \r\n\r\n"),
    "host list": (400, b"GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "encoding gzip": (501, POST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "encoding gzip, chunked": (400, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "encoding ,chunked": (400, POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    "encoding chunked, chunked": (
        400,
        POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    "encoding twice": (400, CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "encoding xchunked": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "encoding with a vertical tab": (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n"),
    "encoding in HTTP/1.0": (
        400,
        b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "length and encoding": (400, CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n"),
    "encoding and length": (
        400,
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "two lengths": (400, POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde"),
    "list of lengths": (400, POST + b"Content-Length: 5, 5\r\n\r\nabcde"),
    "length +5": (400, POST + b"Content-Length: +5\r\n\r\nabcde"),
    "length -1": (400, POST + b"Content-Length: -1\r\n\r\n"),
    "length 0x5": (400, POST + b"Content-Length: 0x5\r\n\r\nabcde"),
    "length 5_0": (400, POST + b"Content-Length: 5_0\r\n\r\nabcde"),
    "empty length": (400, POST + b"Content-Length: \r\n\r\n"),
    "length over 64 bits": (400, POST + b"Content-Length: 18446744073709551621\r\n\r\nabcde"),
    "space before the colon": (400, POST + b"Content-Length : 5\r\n\r\nabcde"),
    "folded line": (400, GET + b"X: a\r\n b\r\n\r\n"),
    "underscore": (400, GET + b"Content_Length: 5\r\n\r\n"),
    "nul in a value": (400, GET + b"X: a\0b\r\n\r\n"),
    "bare CR in a value": (400, GET + b"X: a\rb\r\n\r\n"),
    "bare LF": (400, b"GET /x HTTP/1.1\nHost: a\n\n"),
    "empty name": (400, GET + b": x\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /x\r\n\r\n"),
    "HTTP/0.9 by name": (505, b"GET /x HTTP/0.9\r\nHost: a\r\n\r\n"),
    "HTTP/2.0": (505, b"GET /x HTTP/2.0\r\nHost: a\r\n\r\n"),
    "HTTP/1.2": (400, b"GET /x HTTP/1.2\r\nHost: a\r\n\r\n"),
    "lower-case http": (400, b"GET /x http/1.1\r\nHost: a\r\n\r\n"),
    "unknown method": (400, b"FROB /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target with a control": (400, b"GET /x\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target of another scheme": (400, b"GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target without an authority": (400, b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "the preface of HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
    "upgrade with a broken chunk": (
        400,
        CHUNKED + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
    ),
    "expectation": (417, POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx"),
    "two expectations": (
        400,
        POST + b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    ),
    "two deadlines": (400, GET + b"Mesh-Deadline: 5\r\nMesh-Deadline: 5\r\n\r\n"),
    "two keys": (400, GET + b"Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n"),
    "chunk size of letters": (400, CHUNKED + b"\r\nzz\r\n"),
    "chunk size with a sign": (400, CHUNKED + b"\r\n+2\r\nhi\r\n0\r\n\r\n"),
    "chunk size 0x2": (400, CHUNKED + b"\r\n0x2\r\nhi\r\n0\r\n\r\n"),
    "chunk size with a space": (400, CHUNKED + b"\r\n2 \r\nhi\r\n0\r\n\r\n"),
    "chunk size over 64 bits": (400, CHUNKED + b"\r\n10000000000000002\r\nhi\r\n0\r\n\r\n"),
    "chunk without its end": (400, CHUNKED + b"\r\n2\r\nhi0\r\n\r\n"),
    "chunk ended by LF": (400, CHUNKED + b"\r\n2\nhi\n0\n\n"),
    "extension with LF": (400, CHUNKED + b"\r\n2;a\nhi\r\n0\r\n\r\n"),
    "trailer Content-Length": (400, CHUNKED + b"\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "trailer Host": (400, CHUNKED + b"\r\n0\r\nHost: b\r\n\r\n"),
    "trailer Transfer-Encoding": (400, CHUNKED + b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "long target": (414, b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "long field": (431, GET + b"X: " + b"x" * 16_384 + b"\r\n\r\n"),
    "many fields": (431, GET + b"X: x\r\n" * 100 + END),
    "long fields": (431, GET + b"X-Filling: 0123456789012345678901234567890\r\n" * 400 + END),
    "long length": (413, POST + b"Content-Length: 1048577\r\n\r\n"),
    "long extension": (400, CHUNKED + b"\r\n1;" + b"x" * 60_000),
    "long trailer": (400, CHUNKED + b"\r\n0\r\nX: " + b"x" * 60_000),
    "many trailers": (400, CHUNKED + b"\r\n0\r\n" + b"X: x\r\n" * 10_000),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused_once_then_closed(name: str, serve: Serve) -> None:
    status, stream = REFUSED[name]
    site = EchoSite()
    server, address = serve(site)
    peer = await connect(address)
    # A request behind the bad one must never be served: that is how requests are smuggled.
    peer.send(stream + b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await peer.only_answer_then_closed()
    assert answer.status == status, answer
    assert answer.headers[b"content-type"] == b"application/problem+json"
    assert json.loads(answer.body)["type"] == "bad-message"
    assert site.echo.calls == 0
    assert server.serving.bad_messages == {status: 1}


ACCEPTED = {
    "plain": (GET + END, "GET", "/x", 0),
    "absolute": (b"GET http://b:80/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/x?y=1", 0),
    "absolute with a query that looks like a path": (
        b"GET HTTP://b?y=/v1/z HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET",
        "/?y=/v1/z",
        0,
    ),
    "IPv6 host": (b"GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET", "/x", 0),
    "empty lines before": (b"\r\n\r\n" + GET + END, "GET", "/x", 0),
    "an upgrade with a body, as Java's client asks for": (
        POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
        "POST",
        "/x",
        2,
    ),
    "an upgrade with chunks": (
        CHUNKED + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "POST",
        "/x",
        2,
    ),
    "a length of nought with an upgrade": (
        POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
        "POST",
        "/x",
        0,
    ),
    "chunks": (CHUNKED + b"\r\n2\r\nhi\r\n003;a=b\r\nyou\r\n0\r\nX: y\r\n\r\n", "POST", "/x", 5),
    "Chunked": (
        POST + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "POST",
        "/x",
        2,
    ),
    "just all fields": (GET + b"X: x\r\n" * 99 + END, "GET", "/x", 0),
    "just the longest target": (
        b"GET /" + b"x" * 8174 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET",
        "/" + "x" * 8174,
        0,
    ),
    "just the longest body": (
        POST + b"Content-Length: 1048576\r\n\r\n" + b"x" * 1_048_576,
        "POST",
        "/x",
        1_048_576,
    ),
    "a body in pieces of one byte": (
        CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n",
        "POST",
        "/x",
        20_000,
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_accepted(name: str, serve: Serve) -> None:
    stream, method, target, length = ACCEPTED[name]
    _, address = serve(EchoSite())
    peer = await connect(address)
    peer.send(stream)
    answer = await peer.answer()
    assert answer.status == 200, answer
    understood = json.loads(bytes.fromhex(answer.headers[b"x-echo"].decode()))
    assert (understood["m"], understood["t"], understood["n"]) == (method, target, length)
    peer.hang_up()


async def test_what_came_before_the_bad_message_is_answered_first(serve: Serve) -> None:
    server, address = serve(EchoSite())
    peer = await connect(address)
    peer.send((GET + END) * 3 + b"garbage\r\n\r\n" + GET + END)
    await peer.until(lambda: peer.closed)
    assert [answer.status for answer in read_answers(peer.data)] == [200, 200, 200, 400]
    assert server.serving.bad_messages == {400: 1}


def _limited(serve: Serve) -> tuple[FunctionRoute, Server, str]:
    route = FunctionRoute(describe, body_limit=10_000)
    site = Site()
    site.add("POST", "/v1/limited", route)
    server, address = serve(site)
    return route, server, address


async def _sent_until_refused(peer: Peer, piece: bytes) -> int:
    """How much of a body went out before the answer came, given a turn for each piece."""
    from twisted.internet import reactor

    sent = 0
    while not peer.data:
        peer.send(piece)
        sent += len(piece)
        assert sent < 1_000_000
        await deferLater(reactor, 0.001, lambda: None)
    return sent


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Content-Length: 1000000\r\n\r\n", b"x" * 500),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1f4\r\n" + b"x" * 500 + b"\r\n"),
    ],
)
async def test_a_body_over_its_limit_is_refused_early(
    head: bytes, piece: bytes, serve: Serve
) -> None:
    route, _, address = _limited(serve)
    peer = await connect(address)
    peer.send(b"POST /v1/limited HTTP/1.1\r\nHost: a\r\n" + head)
    sent = await _sent_until_refused(peer, piece)
    assert sent <= 2 * 10_000
    answer = await peer.only_answer_then_closed()
    assert answer.status == 413
    assert b"10000" in answer.body
    assert route.calls == 0


async def test_a_refusal_reaches_a_peer_that_goes_on_sending(serve: Serve) -> None:
    _, _, address = _limited(serve)
    peer = await connect(address)
    head = b"POST /v1/limited HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n"
    peer.send(head + b"x" * 500_000)
    assert (await peer.only_answer_then_closed()).status == 413


async def test_a_peer_that_never_stops_sending_is_cut(serve: Serve) -> None:
    server, address = serve(EchoSite())
    peer = await connect(address)
    peer.send(b"garbage\r\n\r\n" + b"x" * 3_000_000)
    await peer.until(lambda: peer.closed)
    await _forgotten(server)


async def test_limits_are_settings(serve: Serve) -> None:
    limits = WireLimits(request_line_bytes=20, header_bytes=100, header_count=3, body_bytes=5)
    for status, stream in {
        414: b"GET /" + b"x" * 20 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        431: GET + b"X: " + b"x" * 90 + b"\r\n\r\n",
        413: POST + b"Content-Length: 6\r\n\r\n",
    }.items():
        _, address = serve(EchoSite(), limits=limits)
        peer = await connect(address)
        peer.send(stream)
        assert (await peer.only_answer_then_closed()).status == status
    _, address = serve(EchoSite(), limits=limits)
    peer = await connect(address)
    peer.send(GET + b"A: 1\r\nB: 1\r\nC: 1\r\n\r\n")
    assert (await peer.only_answer_then_closed()).status == 431


async def _forgotten(server: Server) -> None:
    from tests.processes import until

    await until(lambda: not server.connections, "the connection is forgotten")
