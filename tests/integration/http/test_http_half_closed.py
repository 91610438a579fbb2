"""Peers that close their side when they have asked, and listen on: `nc -N` and the like."""

from __future__ import annotations

import socket

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from balancer.wire import IncomingRequest
from services.kit.server import Site
from tests.integration.http.peer import Received, read_answers
from tests.integration.http.routes import EchoSite, FunctionRoute, Serve
from tests.processes import until

GET = b"GET /v1/say/%d HTTP/1.1\r\nHost: a\r\n\r\n"


async def asked(address: str, request: bytes) -> list[Received]:
    """What comes of a request, after which the peer says that it has no more."""

    def ask() -> bytes:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20.0) as peer:
            peer.sendall(request)
            peer.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: peer.recv(65_536), b""))

    return read_answers(await deferToThread(ask))


@pytest.mark.parametrize("count", [1, 3, 500])
async def test_all_that_was_sent_whole_is_answered(serve: Serve, count: int) -> None:
    server, address = serve(EchoSite())
    answers = await asked(address, b"".join(GET % number for number in range(count)))
    assert [answer.status for answer in answers] == [200] * count
    await until(lambda: not server.connections, "the connection is forgotten")


async def test_who_waits_for_a_slow_handler_hears_of_it(serve: Serve) -> None:
    begun: list[Deferred[bytes]] = []

    async def slow(_: IncomingRequest) -> bytes:
        begun.append(Deferred())
        return await begun[-1]

    site = Site()
    site.add("POST", "/v1/slow", FunctionRoute(slow))
    server, address = serve(site)
    answers = Deferred.fromCoroutine(
        asked(address, b"POST /v1/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
    )
    await until(lambda: begun, "it runs")
    begun[0].callback(b"done")
    assert [(answer.status, answer.body) for answer in await answers] == [(200, b"done")]
    await until(lambda: not server.connections, "the connection is forgotten")


@pytest.mark.parametrize("sent", [b"", b"GET /v1/s", (GET % 1)[:-2], GET % 1 + b"GET /"])
async def test_what_was_sent_in_part_is_nothing(serve: Serve, sent: bytes) -> None:
    server, address = serve(EchoSite())
    answers = await asked(address, sent)
    assert [answer.status for answer in answers] == [200] * sent.count(b"\r\n\r\n")
    await until(lambda: not server.connections, "the connection is forgotten")


async def test_who_was_refused_and_closes_is_forgotten(serve: Serve) -> None:
    server, address = serve(EchoSite())
    answers = await asked(address, b"GET /v1/say/1 HTTP/1.1\r\n\r\n" + GET % 2)
    assert [answer.status for answer in answers] == [400]
    await until(lambda: not server.connections, "the connection is forgotten")
