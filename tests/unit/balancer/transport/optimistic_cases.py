"""What must hold of the transports on any reactor; run by the test, and in a child on `mesh`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from balancer.transport.optimistic import connect, listen
from tests.processes import until

BIG = bytes(range(256)) * 100_000


@implementer(IPushProducer)
class End(Protocol):
    """One end of a connection."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: Failure | None = None
        self.made = False
        self.pauses = 0
        self.resumes = 0
        self.stopped = False
        self.on_data: Callable[[], None] = lambda: None

    @property
    def wire(self) -> Any:
        """The transport, untyped."""
        return self.transport

    def connectionMade(self) -> None:
        self.made = True

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.on_data()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason

    def pauseProducing(self) -> None:
        self.pauses += 1

    def resumeProducing(self) -> None:
        self.resumes += 1

    def stopProducing(self) -> None:
        self.stopped = True


class Pair:
    """Both ends of a connection over TCP."""

    def __init__(self, client: End, server: End, stop: Callable[[], Any]) -> None:
        self.client = client
        self.server = server
        self.stop = stop


async def make_pair() -> Pair:
    from twisted.internet import reactor

    server, client = End(), End()
    factory = Factory.forProtocol(End)
    factory.noisy = False
    factory.buildProtocol = lambda addr: server  # type: ignore[method-assign]
    port = listen(reactor, "127.0.0.1", 0, factory)
    failures: list[str] = []
    connect(reactor, "127.0.0.1", port.getHost().port, client, failures.append, 5.0)
    await until(lambda: server.made and client.made, "the connection stands")
    assert not failures
    return Pair(client, server, port.stopListening)


async def small_writes_go_at_once(pair: Pair) -> None:
    pair.client.wire.write(b"now")
    # Nothing waits for the reactor: it is in the kernel's hands already.
    assert not pair.client.wire.dataBuffer
    assert not pair.client.wire._tempDataBuffer
    await until(lambda: pair.server.received == b"now", "it has come")


async def big_writes_are_taken_in_parts(pair: Pair) -> None:
    pair.server.wire.pauseProducing()
    pair.client.wire.write(BIG)
    pair.client.wire.write(b"second")
    pair.client.wire.write(b"")
    pair.client.wire.writeSequence([b"third", b"fourth"])
    assert pair.client.wire._tempDataBuffer
    pair.server.wire.resumeProducing()
    whole = BIG + b"secondthirdfourth"
    await until(lambda: len(pair.server.received) >= len(whole), "all has come")
    assert pair.server.received == whole


async def order_is_kept_when_writes_mix(pair: Pair) -> None:
    wanted = bytearray()
    for number in range(300):
        piece = b"%d:" % number + b"x" * (number * 131 % 40_000)
        wanted += piece
        pair.client.wire.write(piece)
    await until(lambda: len(pair.server.received) >= len(wanted), "all has come")
    assert pair.server.received == wanted


async def closing_lets_everything_out(pair: Pair) -> None:
    pair.server.wire.pauseProducing()
    pair.client.wire.write(BIG)
    pair.client.wire.loseConnection()
    pair.server.wire.resumeProducing()
    await until(lambda: pair.server.lost, "the end has come")
    assert pair.server.received == BIG


async def half_closing_lets_everything_out(pair: Pair) -> None:
    pair.server.wire.pauseProducing()
    pair.client.wire.write(BIG)
    pair.client.wire.loseWriteConnection()
    pair.server.wire.resumeProducing()
    await until(lambda: pair.server.lost, "the end has come")
    assert pair.server.received == BIG


async def writes_after_the_end_are_dropped(pair: Pair) -> None:
    pair.client.wire.loseConnection()
    await until(lambda: pair.client.lost and pair.server.lost, "both have ended")
    pair.client.wire.write(b"x")
    pair.server.wire.write(b"x")
    pair.client.wire.loseConnection()
    pair.client.wire.abortConnection()


async def writes_to_a_dead_peer_raise_nothing(pair: Pair) -> None:
    pair.server.wire.abortConnection()
    for _ in range(50):
        pair.client.wire.write(b"x" * 10_000)
    await until(lambda: pair.client.lost, "it is told")
    pair.client.wire.write(b"x")


async def an_abort_drops_what_waits(pair: Pair) -> None:
    pair.server.wire.pauseProducing()
    pair.client.wire.write(BIG)
    pair.client.wire.abortConnection()
    await until(lambda: pair.client.lost, "it is told")
    pair.server.wire.resumeProducing()
    await until(lambda: pair.server.lost, "the other is told")
    assert len(pair.server.received) < len(BIG)


async def a_producer_is_paused_while_much_waits(pair: Pair) -> None:
    client = pair.client
    client.wire.registerProducer(client, True)
    pair.server.wire.pauseProducing()
    client.wire.write(b"small")
    assert client.pauses == 0
    client.wire.write(BIG)
    assert (client.pauses, client.resumes) == (1, 0)
    pair.server.wire.resumeProducing()
    await until(lambda: client.resumes == 1, "it is told to go on")
    await until(lambda: len(pair.server.received) == 5 + len(BIG), "all has come")
    client.wire.unregisterProducer()


async def answers_from_within_a_read_arrive(pair: Pair) -> None:
    def echo() -> None:
        data = bytes(pair.server.received)
        pair.server.received.clear()
        pair.server.wire.write(data)

    pair.server.on_data = echo
    for number in range(20):
        text = b"%d" % number
        pair.client.received.clear()
        pair.client.wire.write(text)
        await until(partial(pair.client.received.endswith, text), "the echo has come")


async def a_fault_in_a_protocol_costs_its_connection_only(pair: Pair) -> None:
    def fail() -> None:
        raise RuntimeError("on purpose")

    other = await make_pair()
    pair.server.on_data = fail
    pair.client.wire.write(b"x")
    await until(lambda: pair.client.lost and pair.server.lost, "the connection has ended")
    other.client.wire.write(b"still here")
    await until(lambda: other.server.received == b"still here", "the other goes on")
    other.client.wire.abortConnection()
    await other.stop()


Case = Callable[[Pair], Coroutine[Any, Any, None]]
CASES: list[Case] = [
    small_writes_go_at_once,
    big_writes_are_taken_in_parts,
    order_is_kept_when_writes_mix,
    closing_lets_everything_out,
    half_closing_lets_everything_out,
    writes_after_the_end_are_dropped,
    writes_to_a_dead_peer_raise_nothing,
    an_abort_drops_what_waits,
    a_producer_is_paused_while_much_waits,
    answers_from_within_a_read_arrive,
    a_fault_in_a_protocol_costs_its_connection_only,
]


async def run(case: Case) -> None:
    """Run one case and clean up after it."""
    pair = await make_pair()
    try:
        await case(pair)
    finally:
        for end in (pair.client, pair.server):
            if not end.lost:
                end.wire.abortConnection()
        await until(lambda: pair.client.lost and pair.server.lost, "both have ended")
        await pair.stop()


def main() -> None:
    """Run all cases on the mesh reactor and print the name of each that held."""
    from balancer.transport.reactor import install

    reactor = install()

    async def all_cases() -> None:
        for case in CASES:
            await run(case)
            print(case.__name__, flush=True)

    def start() -> None:
        done: Deferred[None] = ensureDeferred(all_cases())
        done.addErrback(lambda failure: failure.printTraceback(sys.stdout))
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()


if __name__ == "__main__":
    main()
