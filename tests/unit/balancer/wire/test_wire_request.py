"""The server's parser: the same requests whatever the pieces, and nothing but BadMessage."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.wire import BadMessage, IncomingRequest, RequestParser, WireLimits

Seen = list[tuple[bytes, bytes, bytes, dict[bytes, bytes], bytes, bool]]


def _parser(
    limits: WireLimits | None = None,
    on_head: Callable[[IncomingRequest], int | None] = lambda _: None,
) -> RequestParser:
    return RequestParser(limits or WireLimits(), on_head)


def _seen(parser: RequestParser) -> Seen:
    return [
        (each.method, each.path, each.query, each.headers, each.body, each.keep_alive)
        for each in parser.requests
    ]


def _read(stream: bytes, cuts: list[int] | None = None) -> tuple[Seen, int]:
    """What is read of a stream cut in pieces, and the status of its refusal or 0."""
    parser = _parser()
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts or [])})
    status = 0
    try:
        for start, end in pairwise(edges):
            parser.feed(stream[start:end])
    except BadMessage as error:
        status = error.status
    return _seen(parser), status


_token = st.text(
    "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%&'*+-.^`|~", min_size=1, max_size=12
)
_value = st.text("".join(map(chr, range(0x21, 0x7F))), max_size=30)
_special = {
    "host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te",
    "proxy-connection",
}  # fmt: skip


@st.composite
def _requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A valid request and its body."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]))
    target = "/" + draw(st.text("abcXYZ019-._~/%", max_size=20))
    if draw(st.booleans()):
        target += "?" + draw(st.text("abc019=&%+/?", min_size=1, max_size=20))
    names = draw(st.lists(_token, max_size=5, unique_by=str.lower))
    lines = [f"{method} {target} HTTP/1.1", "Host: a.example:80"]
    lines += [f"{name}: {draw(_value)}" for name in names if name.lower() not in _special]
    body = draw(st.binary(max_size=200))
    if draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        framed = b""
        left = body
        while left:
            size = draw(st.integers(1, len(left)))
            framed += b"%x%b\r\n" % (size, draw(st.sampled_from([b"", b";a=b", b";q"])))
            framed += left[:size] + b"\r\n"
            left = left[size:]
        framed += b"0\r\n" + draw(st.sampled_from([b"", b"X-Trailer: 1\r\n"])) + b"\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
        framed = body
    return "\r\n".join([*lines, "", ""]).encode("ascii") + framed, body


@given(st.lists(_requests(), min_size=1, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_split_of_valid_requests_gives_the_same(
    requests: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(raw for raw, _ in requests)
    whole, status = _read(stream)
    assert status == 0
    assert [each[4] for each in whole] == [body for _, body in requests]
    assert _read(stream, cuts) == (whole, 0)
    assert _read(stream, list(range(len(stream)))) == (whole, 0)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_nothing_but_bad_message(data: bytes, cuts: list[int]) -> None:
    _read(data, cuts)
    _read(b"GET / HTTP/1.1\r\nHost: a\r\n" + data, cuts)
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    _read(chunked + data, cuts)


@given(_requests(), st.integers(0, 10_000), st.binary(min_size=1, max_size=3), st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_request_is_judged_the_same_in_any_pieces(
    request: tuple[bytes, bytes], at: int, damage: bytes, data: st.DataObject
) -> None:
    raw, _ = request
    at %= len(raw)
    stream = raw[:at] + damage + raw[at + data.draw(st.integers(0, 2)) :]
    whole = _read(stream)
    cuts = data.draw(st.lists(st.integers(0, 10_000), max_size=8))
    assert _read(stream, cuts) == whole


def test_the_head_is_known_before_the_body() -> None:
    heads: list[bytes] = []

    def on_head(request: IncomingRequest) -> int:
        heads.append(request.path)
        request.handle = "somewhere"
        return 3

    parser = _parser(on_head=on_head)
    parser.feed(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n")
    assert (parser.in_head, parser.in_body, heads) == (True, False, [])
    parser.feed(b"\r\nab")
    assert (parser.in_head, parser.in_body, heads) == (False, True, [b"/a"])
    parser.feed(b"c")
    assert (parser.in_head, parser.in_body) == (False, False)
    (request,) = parser.requests
    assert (request.body, request.handle) == (b"abc", "somewhere")


def test_whoever_routes_the_head_can_refuse_it() -> None:
    def on_head(_: IncomingRequest) -> int:
        raise BadMessage(421, "not here")

    parser = _parser(on_head=on_head)
    with pytest.raises(BadMessage, match="not here") as caught:
        parser.feed(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert caught.value.status == 421
    assert not parser.requests


@pytest.mark.parametrize("limit", [0, 1, 10])
@pytest.mark.parametrize("chunked", [True, False])
def test_the_body_limit_to_the_byte(limit: int, *, chunked: bool) -> None:
    def body(size: int) -> bytes:
        if chunked:
            return b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * size + b"0\r\n\r\n"
        return b"Content-Length: %d\r\n\r\n" % size + b"x" * size

    parser = _parser(on_head=lambda _: limit)
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\n" + body(limit))
    assert len(parser.requests[0].body) == limit
    parser = _parser(on_head=lambda _: limit)
    with pytest.raises(BadMessage) as caught:
        parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\n" + body(limit + 1))
    assert caught.value.status == 413


@pytest.mark.parametrize("size", [1, 7, 100, 8192, 100_000])
def test_the_header_limit_to_the_byte_in_any_pieces(size: int) -> None:
    # Each field counts with its colon, space and line end.
    def head(filling: int) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * filling + b"\r\n\r\n"

    room = WireLimits().header_bytes - len(b"Host: a\r\n") - len(b"X: \r\n")
    for filling, refused in ((room, False), (room + 1, True)):
        parser = _parser()
        stream = head(filling)
        with contextlib.ExitStack() as stack:
            if refused:
                stack.enter_context(pytest.raises(BadMessage))
            for at in range(0, len(stream), size):
                parser.feed(stream[at : at + size])
        assert len(parser.requests) == (not refused)


@pytest.mark.parametrize(
    "start",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nX",
        b"GET / HTTP/1.1\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=",
        b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a="',
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00000000",
    ],
)
def test_nothing_grows_without_end(start: bytes) -> None:
    parser = _parser()
    parser.feed(start)
    taken = 0

    def fill() -> None:
        nonlocal taken
        while taken < 200_000:
            parser.feed(b"0" * 1000)
            taken += 1000

    with pytest.raises(BadMessage):
        fill()
    assert taken < 60_000


def test_the_peer_is_told_to_continue_only_before_its_body() -> None:
    parser = _parser()
    told = []
    for piece in (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n",
        b"x",
        b"y",
        b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    ):
        parser.feed(piece)
        told.append(parser.wants_continue)
    assert told == [True, False, False, False]


def test_nothing_is_taken_after_an_upgrade() -> None:
    parser = _parser()
    parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nGET /b")
    parser.feed(b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [(each.path, each.keep_alive) for each in parser.requests] == [(b"/", False)]


def test_each_request_starts_anew() -> None:
    parser = _parser()
    parser.feed(b"POST /a?x=1 HTTP/1.1\r\nHost: a\r\nA: 1\r\nContent-Length: 2\r\n\r\nhi")
    parser.feed(b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n")
    assert _seen(parser)[1] == (b"GET", b"/b", b"", {b"host": b"b"}, b"", True)


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_beside_an_upgrade_is_read_and_the_connection_ends(framed: bytes, size: int) -> None:
    parser = _parser()
    stream = b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + framed
    stream += b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    for begin in range(0, len(stream), size):
        parser.feed(stream[begin : begin + size])
    (request,) = parser.requests
    assert (request.path, request.body, request.keep_alive) == (b"/a", b"hello", False)


def test_a_body_beside_an_upgrade_has_its_limit() -> None:
    parser = _parser(on_head=lambda _: 3)
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    parser.feed(head + b"Transfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(BadMessage, match="over the limit") as refused:
        parser.feed(b"4\r\nabcd\r\n")
    assert refused.value.status == 413
