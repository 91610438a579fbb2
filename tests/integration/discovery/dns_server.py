"""A DNS server of a test's own, on UDP and TCP: its zone, its faults and what it was asked."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import ServerFactory
from twisted.names.dns import (
    AAAA,
    ENAME,
    ESERVER,
    OK,
    SOA,
    SRV,
    A,
    DNSDatagramProtocol,
    DNSProtocol,
    Message,
    Record_A,
    Record_AAAA,
    Record_SOA,
    Record_SRV,
    RRHeader,
)

# What fits a datagram without EDNS.
DATAGRAM_BYTES = 512


def srv(
    name: str, target: str, port: int, *, priority: int = 0, weight: int = 100, ttl: int = 1
) -> RRHeader:
    return RRHeader(name, SRV, ttl=ttl, payload=Record_SRV(priority, weight, port, target, ttl))


def a(name: str, address: str, ttl: int = 1) -> RRHeader:
    return RRHeader(name, A, ttl=ttl, payload=Record_A(address, ttl))


def aaaa(name: str, address: str, ttl: int = 1) -> RRHeader:
    return RRHeader(name, AAAA, ttl=ttl, payload=Record_AAAA(address, ttl))


def soa(name: str, ttl: int) -> RRHeader:
    return RRHeader(name, SOA, ttl=ttl, payload=Record_SOA(minimum=ttl))


class DnsServer:
    """See the module.

    Attributes:
        records: the zone; changes count at once.
        additional: whether addresses of SRV targets come with them.
        failing: names ("" for all) that are answered with SERVFAIL.
        silent: whether nothing is answered.
        absent_ttl: how long a name that does not exist may be taken not to.
        asked: (type, name, "udp" or "tcp") of every question.
        port: of both sockets.
    """

    def __init__(self, reactor: Any) -> None:
        self.records: list[RRHeader] = []
        self.additional = True
        self.failing: set[str] = set()
        self.silent = False
        self.absent_ttl = 1
        self.asked: list[tuple[int, str, str]] = []
        self.connections: set[DNSProtocol] = set()
        self._reactor = reactor
        self.port = 0
        self.start()

    def start(self) -> None:
        factory = ServerFactory()
        factory.noisy = False
        factory.buildProtocol = lambda _: DNSProtocol(self, self._reactor)  # type: ignore[method-assign,assignment]
        while True:
            self._tcp = self._reactor.listenTCP(self.port, factory, interface="127.0.0.1")
            self.port = self._tcp.getHost().port
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("127.0.0.1", self.port))
                    break
                except OSError:
                    self._tcp.stopListening()
                    self.port = 0
        self._udp = self._reactor.listenUDP(
            self.port, DNSDatagramProtocol(self, self._reactor), interface="127.0.0.1"
        )

    async def stop(self) -> None:
        await self._udp.stopListening()
        await self._tcp.stopListening()
        for connection in list(self.connections):
            connection.transport.abortConnection()  # type: ignore[union-attr]

    def names(self, kind: int = SRV) -> list[str]:
        return [name for asked, name, _ in self.asked if asked == kind]

    def connectionMade(self, protocol: DNSProtocol) -> None:
        self.connections.add(protocol)

    def connectionLost(self, protocol: DNSProtocol) -> None:
        self.connections.discard(protocol)

    def messageReceived(self, question: Message, protocol: Any, address: Any = None) -> None:
        query = question.queries[0]
        name = query.name.name.decode().lower()
        self.asked.append((query.type, name, "udp" if address else "tcp"))
        if self.silent:
            return
        answer = Message(question.id, answer=1, recAv=1, maxSize=DATAGRAM_BYTES if address else 0)
        answer.queries = question.queries
        there = [each for each in self.records if each.name.name.decode().lower() == name]
        answer.answers = [each for each in there if each.type == query.type]
        answer.rCode = ESERVER if self.failing & {"", name} else OK if there else ENAME
        if not answer.answers:
            answer.authority = [soa("mesh.test", self.absent_ttl)]
        if self.additional and query.type == SRV:
            hosts = {each.payload.target.name for each in answer.answers}  # type: ignore[union-attr]
            answer.additional = [
                each for each in self.records if each.type in (A, AAAA) and each.name.name in hosts
            ]
        protocol.writeMessage(answer, *([address] if address else []))
