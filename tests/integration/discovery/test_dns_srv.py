"""SRV records from a real DNS server on loopback; time is virtual where it would be long."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.names.dns import AAAA, SRV, A

from balancer import Endpoint, MonotonicClock, RegistryError
from balancer.discovery.dns import DnsRegistry, Zone
from tests.integration.discovery.dns_server import DnsServer, a, aaaa, srv
from tests.logs import said_by
from tests.processes import children, sleep, until
from tests.txmesh import txmesh

USERS = "_users._tcp.mesh.test"


class Watched:
    """A registry that asks the test's server, and all that it told."""

    def __init__(self, server: DnsServer, clock: Any = None) -> None:
        from twisted.internet import reactor

        self.told: list[list[Endpoint]] = []
        self.registry = DnsRegistry(
            Zone("_{service}._tcp.mesh.test", ("127.0.0.1", server.port)),
            reactor=reactor,
            clock=clock or MonotonicClock(reactor),
            rng=Random(1),
        )

    def watch(self, service: str = "users") -> Callable[[], None]:
        def listen(endpoints: Sequence[Endpoint]) -> None:
            self.told.append(list(endpoints))

        return self.registry.watch(service, listen)

    def addresses(self) -> list[str] | None:
        return [each.address for each in self.told[-1]] if self.told else None

    async def sees(self, *addresses: str) -> None:
        await until(lambda: self.addresses() == list(addresses), f"{addresses}, not {self.told}")


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def server() -> AsyncIterator[DnsServer]:
    from twisted.internet import reactor

    server = DnsServer(reactor)
    yield server
    await server.stop()


@pytest.fixture
def open_watched(server: DnsServer, request: pytest.FixtureRequest) -> Callable[..., Watched]:
    def opened(clock: Any = None) -> Watched:
        watched = Watched(server, clock)
        request.addfinalizer(watched.registry.close)
        return watched

    return opened


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    with said_by("balancer.discovery") as said:
        yield said


def replicas(*numbers: int, ttl: int = 1) -> list[Any]:
    return [
        record
        for number in numbers
        for record in (
            srv(USERS, f"host-{number}.mesh.test", 8000 + number, ttl=ttl),
            a(f"host-{number}.mesh.test", f"127.0.0.{number}", ttl=ttl),
        )
    ]


async def test_a_zone_that_changes_is_followed(
    server: DnsServer, open_watched: Callable[..., Watched]
) -> None:
    server.records = replicas(1, 2)
    watched = open_watched()
    assert watched.registry.age_s() is None
    assert server.asked == [], "nothing is asked before somebody watches"
    end = watched.watch()
    await watched.sees("127.0.0.1:8001", "127.0.0.2:8002")
    assert watched.told[-1][0] == Endpoint(
        service="users", replica="host-1.mesh.test:8001", address="127.0.0.1:8001"
    )
    assert server.names(A) == [], "the addresses came with the targets"
    server.records = replicas(2, 3)
    await watched.sees("127.0.0.2:8002", "127.0.0.3:8003")
    server.records = []
    await watched.sees()
    server.records = replicas(3)
    await watched.sees("127.0.0.3:8003")
    assert (watched.registry.age_s() or 9) < 3
    end()
    asked = len(server.asked)
    await sleep(1.5)
    assert len(server.asked) == asked, "nobody watches any more"


async def test_addresses_that_did_not_come_are_asked_for(
    server: DnsServer, open_watched: Callable[..., Watched]
) -> None:
    server.additional = False
    server.records = [
        *replicas(1),
        srv(USERS, "six.mesh.test", 8006),
        aaaa("six.mesh.test", "fd00::6"),
        srv(USERS, "gone.mesh.test", 8007),
    ]
    watched = open_watched()
    watched.watch()
    await watched.sees("127.0.0.1:8001", "[fd00::6]:8006")
    assert "six.mesh.test" in server.names(AAAA)


async def test_a_target_that_cannot_be_asked_for_hides_no_other(
    server: DnsServer, open_watched: Callable[..., Watched]
) -> None:
    server.additional = False
    server.records = replicas(1, 2)
    watched = open_watched()
    watched.watch()
    await watched.sees("127.0.0.1:8001", "127.0.0.2:8002")
    server.failing = {"host-1.mesh.test"}
    server.records = replicas(1, 2, 3)
    await watched.sees("127.0.0.1:8001", "127.0.0.2:8002", "127.0.0.3:8003")


async def test_an_answer_that_does_not_fit_a_datagram_comes_over_tcp(
    server: DnsServer, open_watched: Callable[..., Watched]
) -> None:
    server.records = replicas(*range(1, 61))
    watched = open_watched()
    watched.watch()
    await until(lambda: watched.told, "an answer")
    assert len(watched.told[-1]) == 60
    assert (SRV, USERS, "tcp") in server.asked
    await until(lambda: not server.connections, "the connection is given back")


async def test_the_time_to_live_is_honoured_within_bounds(
    server: DnsServer, open_watched: Callable[..., Watched]
) -> None:
    for ttl, least_s, most_s in ((0, 1.0, 1.1), (30, 30.0, 33.0), (86_400, 50.0, 55.0)):
        clock = Clock()
        server.records = replicas(1, ttl=ttl)
        watched = open_watched(clock)
        watched.told.clear()
        watched.watch()
        await watched.sees("127.0.0.1:8001")
        server.records = replicas(2, ttl=ttl)
        asked = len(server.asked)
        clock.advance(least_s - 0.01)
        await sleep(0.05)
        assert len(server.asked) == asked, f"not before {least_s} s are over"
        clock.advance(most_s - least_s + 0.01)
        await watched.sees("127.0.0.2:8002")
        watched.registry.close()


async def test_a_name_that_does_not_exist_has_no_replica_until_it_does(
    server: DnsServer, open_watched: Callable[..., Watched]
) -> None:
    server.absent_ttl = 20
    clock = Clock()
    watched = open_watched(clock)
    watched.watch()
    await watched.sees()
    server.records = replicas(1)
    asked = len(server.asked)
    clock.advance(19.9)
    await sleep(0.05)
    assert len(server.asked) == asked
    clock.advance(2.2)
    await watched.sees("127.0.0.1:8001")


@pytest.mark.parametrize("fault", ["servfail", "silent", "stopped", "garbled"])
async def test_a_lost_dns_changes_nothing_and_is_said_once(
    server: DnsServer, open_watched: Callable[..., Watched], warnings: list[str], fault: str
) -> None:
    server.records = replicas(1)
    watched = open_watched()
    watched.watch()
    await watched.sees("127.0.0.1:8001")
    if fault == "servfail":
        server.failing = {""}
    elif fault == "silent":
        server.silent = True
    elif fault == "garbled":
        # An answer that is for TCP, and there is no TCP.
        server.records = replicas(*range(1, 61))
        await server._tcp.stopListening()
    else:
        await server.stop()
    await until(lambda: warnings, "the loss is in the log")
    asked = len(server.asked)
    if fault == "servfail":
        await until(lambda: len(server.asked) > asked + 1, "it goes on asking")
        assert "SERVFAIL" in warnings[0]
    with pytest.raises(RegistryError, match="does not answer for _users"):
        await watched.registry.endpoints()
    assert watched.addresses() == ["127.0.0.1:8001"], "what was known last stays"
    assert len(warnings) == 1, "said once"
    assert "the replicas known last stay" in warnings[0]
    server.failing, server.silent = set(), False
    server.records = replicas(2)
    if fault == "stopped":
        server.start()
    await watched.sees("127.0.0.2:8002")
    assert warnings[1:] == [f"the DNS answers for {USERS} again"]
    if fault == "garbled":
        server.start()


async def test_all_watched_services_are_asked_for_anew(
    server: DnsServer, open_watched: Callable[..., Watched]
) -> None:
    clock = Clock()
    watched = open_watched(clock)
    with pytest.raises(RegistryError, match="cannot say which services there are"):
        await watched.registry.endpoints()
    watched.watch("users")
    watched.watch("products")
    watched.watch("../users")
    await until(lambda: len(watched.told) == 3, "three answers")
    server.records = replicas(1)
    found = await watched.registry.endpoints()
    assert [each.address for each in found] == ["127.0.0.1:8001"]
    assert watched.addresses() == ["127.0.0.1:8001"], "who watches is told of it as well"
    clock.advance(0.5)
    assert watched.registry.age_s() == 0.5


async def test_a_replica_that_nobody_entered_is_warned_of(
    server: DnsServer, open_watched: Callable[..., Watched], warnings: list[str]
) -> None:
    server.records = replicas(1)
    clock = Clock()
    watched = open_watched(clock)
    known = watched.registry.announce(
        Endpoint(service="users", replica="users-1", address="host-1.mesh.test:8001")
    )
    watched.registry.announce(Endpoint(service="users", replica="b", address="127.0.0.2:8002"))
    gone = watched.registry.announce(Endpoint(service="users", replica="c", address="127.0.0.3:1"))
    gone.withdraw()
    clock.advance(59)
    assert not server.asked
    clock.advance(1)
    await until(lambda: warnings, "a warning")
    await until(lambda: len(server.asked) == 2, "both were looked for")
    known.withdraw()
    assert len(warnings) == 1
    assert "does not name 127.0.0.2:8002 among the replicas of users" in warnings[0]


async def test_a_replica_is_called_by_its_records(server: DnsServer, tmp_path: Path) -> None:
    where = f"dns+srv://127.0.0.1:{server.port}/_{{service}}._tcp.mesh.test"
    (tmp_path / "mesh.toml").write_text(f'[registry]\nurl = "{where}"\n')
    with children(tmp_path) as start:
        child = start(
            "users", "users-1", "--config", "mesh.toml", "--listen", "tcp:0:interface=127.0.0.1"
        )
        address, _ = await child.ready()
        server.records = [
            srv(USERS, "host-1.mesh.test", int(address.rpartition(":")[2])),
            a("host-1.mesh.test", "127.0.0.1"),
        ]
        called = await deferToThread(
            txmesh,
            tmp_path,
            "call",
            "users",
            "fetch",
            "id=u_22yuwt6yiuetv5zn",
            "--config",
            "mesh.toml",
        )
        assert called.returncode == 0, called.stderr
        shown = await deferToThread(txmesh, tmp_path, "status", "--json", "--config", "mesh.toml")
        assert shown.returncode == 0, shown.stderr
        report = json.loads(shown.stdout)
        assert report["registry"]["url"] == where
        assert [each["address"] for each in report["replicas"]] == [address]
        assert {name.split(".")[0] for name in server.names()} == {
            "_greetings",
            "_products",
            "_users",
        }


async def test_it_keeps_no_locks(open_watched: Callable[..., Watched]) -> None:
    with pytest.raises(RegistryError, match="keeps no locks"):
        await open_watched().registry.lock("replace.users", "me")
    with pytest.raises(RegistryError, match="keeps no locks"):
        await open_watched().registry.holder("replace.users")


async def test_what_is_closed_takes_nothing_more(open_watched: Callable[..., Watched]) -> None:
    registry = open_watched().registry
    registry.close()
    with pytest.raises(RegistryError, match="was closed"):
        registry.announce(Endpoint(service="users", replica="a", address="127.0.0.1:8001"))
    with pytest.raises(RegistryError, match="was closed"):
        await registry.lock("replace.users", "me")
    with pytest.raises(RegistryError, match="was closed"):
        await registry.holder("replace.users")
