"""A contract's calls, asked by a peer that knows nothing of contracts."""

from __future__ import annotations

import json

import pytest

from clients.contract import Call, Contract, Message
from services.kit import Service
from services.kit.server import Site
from tests.integration.http.peer import Peer, Received, connect
from tests.integration.http.routes import Serve


class Read(Message):
    name: str
    times: int = 1


class Write(Message):
    name: str
    text: str


class Thing(Message):
    text: str


class Things(Contract, name="things"):
    """Things, for tests."""

    read = Call(Read, Thing, get="/v1/things/{name}")
    write = Call(Write, Thing, put="/v1/things/{name}", body_limit=100)


service: Service[None] = Service(Things)


@service.answers(Things.read)
async def read(request: Read) -> Thing:
    return Thing(text=request.name * request.times)


@service.answers(Things.write)
async def write(request: Write) -> Thing:
    return Thing(text=request.text)


def _site() -> Site:
    site = Site()
    for call, route in service.routes(None):
        site.add(call.method, call.path, route)
    return site


def _put(body: bytes, *lines: bytes) -> bytes:
    head = [b"PUT /v1/things/a HTTP/1.1", b"Host: things", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*head, *lines, b"", body])


async def _ask(peer: Peer, request: bytes) -> Received:
    peer.clear()
    peer.send(request)
    return await peer.answer(head=request.startswith(b"HEAD"))


JSON = b"Content-Type: application/json"


@pytest.mark.parametrize(
    ("status", "kind", "request_bytes"),
    [
        (200, "", _put(b'{"text":"x"}', JSON)),
        (200, "", _put(b'{"text":"x"}')),
        (200, "", _put(b'{"text":"x"}', b"Content-Type: Application/JSON; charset=utf-8")),
        (415, "not-json", _put(b'{"text":"x"}', b"Content-Type: text/plain")),
        (415, "not-json", _put(b"text=x", b"Content-Type: application/x-www-form-urlencoded")),
        (415, "not-json", _put(b'{"text":"x"}', b"Content-Type: application/json, text/plain")),
        (415, "not-json", _put(b'{"text":"x"}', b"Content-Type: ")),
        (400, None, _put(b'{"text":')),
        (400, None, _put(b'{"text":"\xff"}')),
        (422, None, _put(b"[" * 100)),
        (422, None, _put(b'{"text":1}')),
        (422, None, _put(b'{"text":"x","more":1}')),
        (422, None, _put(b"")),
        (200, "", b"GET /v1/things/a?times=2 HTTP/1.1\r\nHost: things\r\n\r\n"),
        (200, "", b"HEAD /v1/things/a HTTP/1.1\r\nHost: things\r\n\r\n"),
        (200, "", b"GET /v1/things/%E2%82%AC HTTP/1.1\r\nHost: things\r\n\r\n"),
        (200, "", b"GET /v1/things/a%2Fb%0d%0aX:%20y HTTP/1.1\r\nHost: things\r\n\r\n"),
        (400, "bad-path", b"GET /v1/things/%FF HTTP/1.1\r\nHost: things\r\n\r\n"),
        (422, None, b"GET /v1/things/a?times=x HTTP/1.1\r\nHost: things\r\n\r\n"),
        (422, None, b"GET /v1/things/a?more=x HTTP/1.1\r\nHost: things\r\n\r\n"),
        (405, "method-not-allowed", b"DELETE /v1/things/a HTTP/1.1\r\nHost: things\r\n\r\n"),
    ],
)
async def test_calls(status: int, kind: str | None, request_bytes: bytes, serve: Serve) -> None:
    server, address = serve(_site())
    peer = await connect(address)
    # Twice: whatever was wrong with the first, the connection goes on.
    for _ in range(2):
        answer = await _ask(peer, request_bytes)
        assert answer.status == status, answer
        wanted = b"application/json" if status == 200 else b"application/problem+json"
        assert answer.headers[b"content-type"] == wanted
        if kind:
            assert json.loads(answer.body)["type"] == kind
    assert server.serving.meter.in_flight == 0
    peer.hang_up()


@pytest.mark.parametrize(
    "request_bytes",
    [
        _put(b"x" * 101),
        b"GET /v1/things/a HTTP/1.1\r\nHost: things\r\nContent-Length: 1\r\n\r\nx",
        b"GET /v1/things/a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    ],
)
async def test_a_body_beyond_what_a_call_takes(request_bytes: bytes, serve: Serve) -> None:
    _, address = serve(_site())
    peer = await connect(address)
    peer.send(request_bytes)
    assert (await peer.only_answer_then_closed()).status == 413
