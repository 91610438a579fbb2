"""One question to the DNS: which targets has a service, and where are they?

A resolver is made for each question and closed after it, so that a TCP connection that froze, or a
server that left ``resolv.conf``, cannot spoil the next one. An answer that does not fit a datagram
is asked for again over TCP; that is twisted.names' own doing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.names.client import Resolver
from twisted.names.dns import DNSProtocol
from twisted.names.error import DNSNameError

from .records import Addresses, Target, read_absence, read_addresses, read_targets

# How long each server is waited for before the question is sent again (seconds): an answer takes
# milliseconds, and a lost packet is the usual reason for none.
_PATIENCE_S = (1, 2)
# How many targets are asked for at once: each question has a socket of its own.
_AT_ONCE = 16
# When a target that could not be asked for is asked for again, at the latest (seconds).
_AGAIN_S = 5
_RESOLV_CONF = Path("/etc/resolv.conf")
_PORT = 53


class Answer(NamedTuple):
    """What the DNS says of a service.

    Attributes:
        targets: of its SRV records; none when the name does not exist.
        addresses: of each target's host that has any.
        ttl_s: how long all of that holds, in seconds.
    """

    targets: list[Target]
    addresses: dict[str, tuple[str, ...]]
    ttl_s: int


async def ask(
    name: str, server: tuple[str, int] | None, known: Mapping[str, tuple[str, ...]], reactor: Any
) -> Answer:
    """Ask for the targets of a service, and for those addresses that did not come with them.

    Args:
        name: of the SRV records.
        server: (IP address, port); None for the servers of this machine.
        known: the addresses that targets had before: they stand in when a single target cannot be
            asked for, since one broken name must not hide the others.
        reactor: where the sockets live.

    Raises:
        Exception: whatever twisted.names fails with when there is no answer; that there is no such
            name is one.
    """
    resolver = _Resolver([server] if server else _servers(), reactor)
    try:
        try:
            answers, authority, additional = await resolver.lookupService(name)
        except DNSNameError as error:
            return Answer([], {}, read_absence(error.args[0].authority))
        targets, ttl_s = read_targets(answers)
        if not targets:
            return Answer([], {}, ttl_s or read_absence(authority))
        addresses: dict[str, tuple[str, ...]] = {}
        ttls = [ttl_s]
        permits = DeferredSemaphore(_AT_ONCE)
        asked: dict[str, Deferred[Addresses | None]] = {}
        for host in {target.host for target in targets}:
            if (found := read_addresses(additional, host)) is not None:
                addresses[host] = found.found
                ttls.append(found.ttl_s)
            else:
                asked[host] = permits.run(resolver.addresses, host, known.get(host, ()))
        waited = gatherResults(list(asked.values()), consumeErrors=True)
        for host, found in zip(asked, await waited, strict=True):
            if found is not None:
                addresses[host] = found.found
                ttls.append(found.ttl_s)
        return Answer(targets, addresses, min(ttls))
    finally:
        resolver.close()


class _Resolver(Resolver):
    """Twisted's, for one question and those that follow from it."""

    def __init__(self, servers: list[tuple[str, int]], reactor: Any) -> None:
        super().__init__(servers=servers, timeout=_PATIENCE_S, reactor=reactor)
        self._closed = False

    def addresses(self, host: str, known: tuple[str, ...]) -> Deferred[Addresses | None]:
        """Where a target is; what was known before, when that cannot be asked for.

        Returns:
            Fires with the addresses, or with None when it has none.
        """
        return Deferred.fromCoroutine(self._addresses(host, known))

    async def _addresses(self, host: str, known: tuple[str, ...]) -> Addresses | None:
        try:
            for lookup in (self.lookupAddress, self.lookupIPV6Address):
                answers, _, _ = await lookup(host)
                if (found := read_addresses(answers)) is not None:
                    return found
        except DNSNameError:
            return None
        except Exception:  # noqa: BLE001 - whatever it is, the other targets are there
            return Addresses(known, _AGAIN_S)
        return None

    def close(self) -> None:
        """Give everything back; answers that are still awaited do not come."""
        self._closed = True
        self.pending = []
        for connection in list(self.connections):
            self._abort(connection)

    def connectionMade(self, protocol: DNSProtocol) -> None:
        """Use a TCP connection, unless the question is over."""
        super().connectionMade(protocol)
        if self._closed:
            self._abort(protocol)

    def _abort(self, connection: DNSProtocol) -> None:
        # The protocol leaves the timers of what it asked to run out by themselves.
        for _, timer in connection.liveMessages.values():
            timer.cancel()
        connection.liveMessages.clear()
        connection.transport.abortConnection()  # type: ignore[union-attr] # it is a TCP one


def _servers() -> list[tuple[str, int]]:
    """The servers of this machine; read each time, since it may move to another network."""
    try:
        lines = _RESOLV_CONF.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return read_servers(lines) or [("127.0.0.1", _PORT)]


def read_servers(lines: Iterable[str]) -> list[tuple[str, int]]:
    """The servers that a ``resolv.conf`` names."""
    words = [line.split() for line in lines]
    return [(found[1], _PORT) for found in words if len(found) > 1 and found[0] == "nameserver"]
