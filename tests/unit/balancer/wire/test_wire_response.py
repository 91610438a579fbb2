"""The caller's parser: one reply a request, whatever the peer makes of HTTP."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer import Reply
from balancer.wire import BadMessage, ReplyParser, WireLimits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _read(
    stream: bytes, cuts: list[int] | None = None, *, bodiless: bool = False
) -> tuple[Reply | None, bool]:
    """The first reply of a stream cut in pieces, and whether the connection may go on."""
    parser = ReplyParser(WireLimits())
    if bodiless:
        parser.expect(bodiless=True)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts or [])})
    for start, end in pairwise(edges):
        reply = parser.feed(stream[start:end])
        if reply is not None:
            return reply, parser.keep_alive
    return parser.end(), parser.keep_alive


def _told(outcome: tuple[Reply | None, bool]) -> object:
    reply, keep_alive = outcome
    return reply and (reply.status, reply.headers, reply.body, keep_alive)


@st.composite
def _replies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    body = draw(st.binary(max_size=200))
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(0, 2))
    status = draw(st.sampled_from([200, 201, 400, 404, 500, 503]))
    head = b"HTTP/1.1 %d Some Words\r\nX-Thing: y\r\n" % status
    form = draw(st.sampled_from(["length", "chunks", "end"]))
    if form == "length":
        return interim + head + b"Content-Length: %d\r\n\r\n" % len(body) + body, body
    if form == "end":
        return interim + head + b"Connection: close\r\n\r\n" + body, body
    framed = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\nX-Trailer: z\r\n\r\n"
    return interim + head + b"Transfer-Encoding: chunked\r\n\r\n" + framed, body


@given(_replies(), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_split_of_a_valid_reply_gives_the_same(
    message: tuple[bytes, bytes], cuts: list[int]
) -> None:
    stream, body = message
    whole, keep_alive = _read(stream)
    assert whole is not None
    assert whole.body == body
    assert _told(_read(stream, cuts)) == _told((whole, keep_alive))
    assert _told(_read(stream, list(range(len(stream))))) == _told((whole, keep_alive))


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8), st.booleans())
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_nothing_but_bad_message(
    data: bytes, cuts: list[int], bodiless: bool
) -> None:
    for start in (
        b"",
        b"HTTP/1.1 ",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        try:
            _read(start + data, cuts, bodiless=bodiless)
        except BadMessage as error:
            assert error.status == 502


@pytest.mark.parametrize(
    "stream",
    [
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/0.9 200 OK\n\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + OK,
        OK + b"HTTP/1.1 200 OK\r\nContent-Le",
        OK + b"H",
        OK + b"\0",
    ],
)
def test_refused(stream: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        _read(stream)
    assert caught.value.status == 502


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nX",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX",
        b"HTTP/1.1 100 Continue\r\nX: ",
    ],
)
def test_nothing_grows_without_end(start: bytes) -> None:
    parser = ReplyParser(WireLimits())
    parser.feed(start)
    taken = 0

    def fill() -> None:
        nonlocal taken
        while taken < 200_000:
            parser.feed(b"x" * 1000)
            taken += 1000

    with pytest.raises(BadMessage):
        fill()
    assert taken < 60_000


@pytest.mark.parametrize(
    "piece", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"]
)
def test_interim_replies_without_end(piece: bytes) -> None:
    parser = ReplyParser(WireLimits())

    def fill() -> None:
        for _ in range(10_000):
            parser.feed(piece)

    with pytest.raises(BadMessage):
        fill()


def test_a_body_that_grows_beyond_the_limit() -> None:
    limits = WireLimits(body_bytes=1000)
    for head in (b"Transfer-Encoding: chunked\r\n\r\n7d1\r\n", b"\r\n"):
        parser = ReplyParser(limits)
        parser.feed(b"HTTP/1.1 200 OK\r\n" + head)
        parser.feed(b"x" * 1000)
        with pytest.raises(BadMessage):
            parser.feed(b"x")


@pytest.mark.parametrize(
    ("stream", "status", "body", "keep_alive"),
    [
        (OK, 200, b"ok", True),
        (b"\r\n" + OK, 200, b"ok", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok", True),
        (
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" + OK,
            200,
            b"ok",
            True,
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nok until the end", 200, b"ok until the end", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, b"", False),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" + OK,
            200,
            b"ok",
            False,
        ),
    ],
)
def test_accepted(stream: bytes, status: int, body: bytes, *, keep_alive: bool) -> None:
    reply, kept = _read(stream)
    assert reply is not None
    assert (reply.status, reply.body, kept) == (status, body, keep_alive)
    assert reply.header(b"a") is None


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_an_answer_to_head_ends_with_its_head(head: bytes) -> None:
    for cuts in ([], list(range(len(head)))):
        reply, keep_alive = _read(head, cuts, bodiless=True)
        assert reply is not None
        assert reply.status in (200, 404)
        assert reply.body == b""
        assert not keep_alive


@pytest.mark.parametrize(
    "cut", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"]
)
def test_an_end_too_early_makes_no_reply(cut: bytes) -> None:
    parser = ReplyParser(WireLimits())
    assert parser.feed(cut) is None if cut else True
    assert parser.end() is None
    assert parser.begun == bool(cut)


def test_replies_follow_each_other() -> None:
    parser = ReplyParser(WireLimits())
    for number in range(3):
        reply = parser.feed(b"HTTP/1.1 200 OK\r\nN: %d\r\nContent-Length: 2\r\n\r\nok" % number)
        assert reply is not None
        assert reply.header(b"n") == b"%d" % number
        assert not parser.begun
