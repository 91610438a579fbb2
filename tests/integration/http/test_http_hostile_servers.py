"""A caller is not brought down by what it calls: servers that break HTTP, against our pool."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from balancer import BadReply, CallError, ConnectFailed, MonotonicClock, Reply, ReplyLost
from balancer.transport import Pool, PoolSettings, Sweep
from balancer.wire import WireLimits
from tests.processes import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = WireLimits(body_bytes=100_000)


class Script(Protocol):
    """One connection of a server that does what the test says."""

    def __init__(self, server: HostileServer) -> None:
        self.server = server
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.server.on_data(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def send(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)

    def close(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()

    def reset(self) -> None:
        transport: Any = self.transport
        linger = struct.pack("ii", 1, 0)
        transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abortConnection()

    def stop_reading(self) -> None:
        transport: Any = self.transport
        transport.pauseProducing()


class HostileServer(Factory):
    """Counts its connections and hands what comes to a function."""

    noisy = False

    def __init__(self) -> None:
        self.connections: list[Script] = []
        self.on_data: Callable[[Script], None] = lambda script: script.send(OK)

    def buildProtocol(self, addr: object) -> Script:
        self.connections.append(Script(self))
        return self.connections[-1]


class Try:
    """An attempt whose outcome can be waited for."""

    def __init__(self, payload: bytes = GET) -> None:
        self.carrier: Any = None
        self.outcome: Deferred[Reply | CallError] = Deferred()
        self._payload = payload

    def payload(self) -> bytes:
        return self._payload

    def replied(self, reply: Reply) -> None:
        self.outcome.callback(reply)

    def failed(self, error: CallError) -> None:
        self.outcome.callback(error)


class World:
    """A hostile server and a pool of connections to it."""

    def __init__(self, server: HostileServer, pool: Pool) -> None:
        self.server = server
        self.pool = pool

    def start(self, payload: bytes = GET, *, bodiless: bool = False) -> Try:
        attempt = Try(payload)
        self.pool.start(attempt, bodiless=bodiless)
        return attempt

    async def ask(self, payload: bytes = GET, *, bodiless: bool = False) -> Reply | CallError:
        from twisted.internet import reactor

        attempt = self.start(payload, bodiless=bodiless)
        return await attempt.outcome.addTimeout(10, reactor)

    async def reply(self, **options: Any) -> Reply:
        outcome = await self.ask(**options)
        assert isinstance(outcome, Reply), outcome
        return outcome


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def world() -> AsyncIterator[World]:
    from twisted.internet import reactor

    server = HostileServer()
    port: Any = cast("Any", reactor).listenTCP(0, server, interface="127.0.0.1")
    clock = MonotonicClock(reactor)
    pool = Pool(
        f"127.0.0.1:{port.getHost().port}",
        reactor=reactor,
        clock=clock,
        sweep=Sweep(clock, 0.05),
        settings=PoolSettings(connections=2, connect_timeout_s=2.0, idle_s=60.0),
        limits=LIMITS,
    )
    yield World(server, pool)
    pool.close()
    for connection in list(pool._standing):
        connection.abandon()
    await until(lambda: not pool._standing, "the pool forgets its connections")
    for script in server.connections:
        if not script.lost:
            script.reset()
    await port.stopListening()


async def _recovers(world: World) -> None:
    """The next request is answered, and by its own answer."""
    world.server.on_data = lambda script: script.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright"
    )
    assert (await world.reply()).body == b"right"


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 50_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 200_000,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        OK + OK,
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwro",
    ],
)
async def test_an_answer_that_cannot_be_used(answer: bytes, world: World) -> None:
    world.server.on_data = lambda script: script.send(answer)
    error = await world.ask()
    assert isinstance(error, BadReply), error
    assert error.sent
    await until(lambda: world.server.connections[0].lost, "the connection is cut")
    await _recovers(world)


@pytest.mark.parametrize(
    ("sent", "part"),
    [
        (b"", "before"),
        (b"HTTP/1.1 200", "middle"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "middle"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "middle"),
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_that_ends_too_early(
    sent: bytes, part: str, how: str, world: World
) -> None:
    def answer(script: Script) -> None:
        script.send(sent)
        # In a later turn, so that what was sent is on its way.
        from twisted.internet import reactor

        reactor.callLater(0.02, getattr(script, how))

    world.server.on_data = answer
    error = await world.ask()
    assert isinstance(error, ReplyLost), error
    assert error.sent
    assert part in str(error)
    await _recovers(world)


async def test_a_reply_that_ends_with_the_connection(world: World) -> None:
    def answer(script: Script) -> None:
        script.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        script.close()

    world.server.on_data = answer
    assert (await world.reply()).body == b"all of it"
    await _recovers(world)


async def test_a_reply_without_length_that_is_cut_by_a_reset_is_lost(world: World) -> None:
    def answer(script: Script) -> None:
        from twisted.internet import reactor

        script.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
        reactor.callLater(0.05, script.reset)

    world.server.on_data = answer
    assert isinstance(await world.ask(), ReplyLost)


async def test_head_with_an_interim_reply_and_a_length(world: World) -> None:
    world.server.on_data = lambda script: script.send(
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"
    )
    reply = await world.reply(payload=GET.replace(b"GET", b"HEAD"), bodiless=True)
    assert (reply.status, reply.body) == (200, b"")
    await _recovers(world)


async def test_bytes_that_nobody_asked_for(world: World) -> None:
    await world.reply()
    (script,) = world.server.connections
    script.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
    await until(lambda: script.lost, "the connection is cut")
    await _recovers(world)
    assert len(world.server.connections) == 2


async def test_a_connection_with_unasked_bytes_is_not_handed_out(world: World) -> None:
    await world.reply()
    (connection,) = world.pool._idle
    # In the same turn, before the reactor tells that it is closed.
    connection.dataReceived(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert (await world.reply()).body == b"ok"
    assert len(world.server.connections) == 2


async def test_connections_are_kept_and_used_again(world: World) -> None:
    for _ in range(5):
        await world.reply()
    assert len(world.server.connections) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" + OK,
    ],
)
async def test_a_connection_that_is_not_to_be_kept(answer: bytes, world: World) -> None:
    world.server.on_data = lambda script: script.send(answer)
    assert (await world.reply()).body == b"ok"
    assert (await world.reply()).body == b"ok"
    assert len(world.server.connections) == 2


async def test_a_peer_that_answers_early_and_never_reads_costs_no_place(world: World) -> None:
    def answer(script: Script) -> None:
        script.stop_reading()
        script.send(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    world.server.on_data = answer
    # More requests than the pool has places, each with more than the kernel's buffers take.
    for _ in range(4):
        reply = await world.reply(payload=b"x" * 40_000_000)
        assert reply.status == 413
    assert len(world.server.connections) == 4


async def test_abandoned_attempts_end_their_connections(world: World) -> None:
    world.server.on_data = lambda _: None
    attempts = [world.start() for _ in range(4)]
    await until(
        lambda: sum(bool(script.received) for script in world.server.connections) == 2,
        "two are sent, two wait",
    )
    for attempt in attempts:
        world.pool.abandon(attempt)
    await until(
        lambda: all(script.lost for script in world.server.connections), "the connections end"
    )
    assert not any(attempt.outcome.called for attempt in attempts)
    await _recovers(world)


async def test_a_server_that_is_not_there() -> None:
    from twisted.internet import reactor

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        clock = MonotonicClock(reactor)
        pool = Pool(
            address,
            reactor=reactor,
            clock=clock,
            sweep=Sweep(clock),
            settings=PoolSettings(),
            limits=LIMITS,
        )
        attempt = Try()
        pool.start(attempt)
        error = await attempt.outcome.addTimeout(10, reactor)
    assert isinstance(error, ConnectFailed)
    assert not error.sent
    pool.close()
