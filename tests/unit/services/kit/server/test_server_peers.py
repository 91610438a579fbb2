"""A server that shares its socket with other processes: whom it lets go first, and what it tells."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any

from twisted.internet.task import Clock

from balancer.transport import listen_on
from services.kit.server import Server, ServerSettings, Site


class Peers:
    """What a scoreboard would say."""

    def __init__(self) -> None:
        self.others_in_flight = 0
        self.too_many = 0
        self.fewer_elsewhere = False
        self.told: list[object] = []

    def serve(self) -> None:
        self.told.append("serve")

    def clear(self) -> None:
        self.told.append("clear")

    def connected(self, count: int) -> None:
        self.told.append(count)

    def yields(self) -> bool:
        return self.fewer_elsewhere

    def surplus(self) -> int:
        return self.too_many

    def elsewhere(self, in_flight: int) -> int:
        return self.others_in_flight


def server_with(peers: Peers) -> Server:
    server = Server(Site(), ServerSettings(), clock=Clock(), wall=lambda: datetime.now(UTC))
    server.serving.peers = peers
    server._peers = peers
    return server


def test_the_load_that_is_told_is_the_whole_replicas() -> None:
    peers = Peers()
    server = server_with(peers)
    peers.others_in_flight = 5
    server.serving.meter.in_flight = 2
    assert b"in-flight=7," in server.serving.common_lines(100.0)
    peers.others_in_flight = 0
    assert b"in-flight=2," in server.serving.common_lines(200.0)


def test_so_many_connections_are_given_away_as_are_too_many() -> None:
    peers = Peers()
    server = server_with(peers)
    peers.too_many = 2
    server.balance()
    assert [server.serving.keeps() for _ in range(4)] == [False, False, True, True]
    server.drain(10.0, idle_s=10.0, leaving=False)
    server.balance()
    assert server.serving.surplus == 0  # they all end anyway


def test_one_that_is_replaced_does_not_say_that_the_replica_leaves() -> None:
    peers = Peers()
    server = server_with(peers)
    server.serving.meter.in_flight = 1
    server.drain(10.0, idle_s=10.0, leaving=False)
    assert peers.told == ["clear", 0]
    assert not server.serving.keeps()
    assert b"draining" not in server.serving.common_lines(0.0)
    server.drain(5.0)
    assert b"draining" in server.serving.common_lines(0.0)


def test_a_second_drain_can_only_be_quicker() -> None:
    clock = Clock()
    server = Server(Site(), ServerSettings(), clock=clock, wall=lambda: datetime.now(UTC))
    server.serving.meter.in_flight = 1
    ends: list[bool] = []
    server.drain(100.0, idle_s=100.0, leaving=False).addCallback(ends.append)
    server.drain(5.0).addCallback(ends.append)
    server.drain(50.0).addCallback(ends.append)
    clock.pump([0.05] * 99)
    assert ends == []
    clock.pump([0.05] * 3)
    assert ends == [False, False, False]


class Reactor(Clock):
    """Reads when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.reading.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.reading.discard(reader)

    def addWriter(self, writer: Any) -> None:
        """Nothing is written here."""

    def removeWriter(self, writer: Any) -> None:
        """Nothing is written here."""


def test_a_shared_port_takes_one_at_a_time_and_lets_others_go_first() -> None:
    reactor: Any = Reactor()
    peers = Peers()
    server = server_with(peers)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: Any = listen_on(reactor, listening, server, peers.yields)
        callers = [socket.create_connection(listening.getsockname()) for _ in range(3)]
        port.doRead()
        assert server.connections == 1
        peers.fewer_elsewhere = True
        port.doRead()
        assert server.connections == 1
        assert port not in reactor.reading
        # Nobody else has taken it: a caller must not wait for one that is busy or frozen.
        reactor.advance(0.01)
        assert server.connections == 2
        assert port in reactor.reading
        peers.fewer_elsewhere = False
        port.doRead()
        port.doRead()  # there is none, and that is no fault
        assert server.connections == 3
        for connection in list(server._connections):
            connection.abort()
        for caller in callers:
            caller.close()
        port.stopListening()
        reactor.advance(1.0)
