"""Who comes as the port closes: connected by the kernel, accepted by nobody, and heard all the same."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from twisted.internet.threads import deferToThread

from balancer import MonotonicClock
from services.kit.server import Server, ServerSettings
from tests.integration.http.peer import read_answers
from tests.integration.http.routes import EchoSite, Serve
from tests.processes import until

CALLERS = 30
ONE = b"GET /v1/say/1 HTTP/1.1\r\nHost: a\r\n\r\n"


class Alone:
    """The others on the same socket: they take nothing."""

    def serve(self) -> None:
        """See `Peers`."""

    def clear(self) -> None:
        """See `Peers`."""

    def connected(self, count: int) -> None:
        """See `Peers`."""

    def yields(self) -> bool:
        return False

    def surplus(self) -> int:
        return 0

    def elsewhere(self, in_flight: int) -> int:
        return in_flight


@pytest.mark.parametrize("peers", [None, Alone()], ids=["alone", "beside others"])
async def test_who_is_at_the_door_when_it_closes_is_answered(peers: Alone | None) -> None:
    from twisted.internet import reactor

    listening = socket.create_server(("127.0.0.1", 0), backlog=CALLERS)
    server = Server(
        EchoSite(), ServerSettings(), clock=MonotonicClock(reactor), wall=lambda: datetime.now(UTC)
    )
    server.serve(reactor, listening, peers)
    callers = [socket.create_connection(listening.getsockname()) for _ in range(CALLERS)]
    listening.close()
    for caller in callers:
        caller.sendall(ONE)
    # The reactor has not turned: nothing is accepted yet.
    drained = server.drain(10.0, idle_s=0.0)
    server.close_port()
    answers = [await deferToThread(all_of, caller) for caller in callers]
    statuses = [[each.status for each in read_answers(answer)] for answer in answers]
    assert statuses == [[200]] * CALLERS
    assert await drained is True


async def test_one_of_several_processes_that_leaves_alone_leaves_them_to_the_others() -> None:
    from twisted.internet import reactor

    listening = socket.create_server(("127.0.0.1", 0), backlog=CALLERS)

    def server() -> Server:
        made = Server(
            EchoSite(),
            ServerSettings(),
            clock=MonotonicClock(reactor),
            wall=lambda: datetime.now(UTC),
        )
        made.serve(reactor, listening, Alone())
        return made

    old, new = server(), server()
    callers = [socket.create_connection(listening.getsockname()) for _ in range(CALLERS)]
    listening.close()
    drained = old.drain(10.0, idle_s=0.0, leaving=False)
    old.close_port()
    assert await drained is True
    assert old.connections == 0
    await until(lambda: new.connections == CALLERS, "the other one has them")
    new.close_port()
    await new.drain(0.0)
    for caller in callers:
        caller.close()
    await until(lambda: not new.connections, "all are forgotten")


def all_of(caller: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    caller.settimeout(20.0)
    with caller:
        return b"".join(iter(lambda: caller.recv(65_536), b""))


async def test_a_request_that_lies_unread_keeps_an_idle_connection(
    serve: Serve,
) -> None:
    """Timers run before sockets are read, and it is a timer that closes idle connections."""
    server, address = serve(EchoSite())
    host, _, port = address.rpartition(":")
    caller = socket.create_connection((host, int(port)))
    caller.sendall(ONE)
    assert [each.status for each in read_answers(await deferToThread(caller.recv, 65_536))] == [200]
    caller.sendall(ONE)
    # The reactor has not turned: the drain's first look finds a connection that idles.
    drained = server.drain(10.0, idle_s=0.0)
    server.close_port()
    assert [each.status for each in read_answers(await deferToThread(all_of, caller))] == [200]
    assert await drained is True
