"""What a replica is told at its admin port, by whom, and whether it was meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import treq

from balancer import BadReply, ConnectFailed, Endpoint, MonotonicClock, read_config
from balancer.testing import FakeRegistry
from clients.users import Users
from services.ops.fleet.direct import DirectReplicas
from services.ops.fleet.drivers import make_driver
from services.ops.fleet.execute import Done, Executor
from services.ops.fleet.gather import Gatherer
from services.ops.fleet.journal import JournalFile
from services.ops.fleet.plan.steps import Leave
from services.ops.probe import READY, STANDBY, UNREACHABLE
from tests.processes import Child, children


class Told(NamedTuple):
    """What came of one request.

    Attributes:
        status: of its answer.
        document: its body.
    """

    status: int
    document: dict[str, Any]


class Standing:
    """A replica called "users-2" that stands by, with whoever tells replicas to change.

    Attributes:
        child: its process.
        admin: the address of its admin port.
        replicas: the sender.
    """

    name = "users-2"

    def __init__(self, child: Child, address: str, admin: str) -> None:
        from twisted.internet import reactor

        self.child = child
        self.admin = admin
        self._address = address
        self.replicas = DirectReplicas(Users, reactor=reactor, clock=MonotonicClock(reactor))

    def called(self, name: str) -> Endpoint:
        """As a registry would tell of one with a name at this one's ports."""
        return Endpoint(
            service="users",
            replica=name,
            address=self._address,
            admin=self.admin,
            pid=self.child.pid,
        )

    async def state(self) -> str:
        return await self.replicas.state(self.called(self.name))

    async def post(self, target: str) -> Told:
        answer = await treq.post(f"http://{self.admin}{target}", persistent=False)
        return Told(answer.code, await answer.json())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "mesh.toml").write_text("[server]\ndrain_notice_s = 0.2\n")
    with children(tmp_path) as start_child:

        async def one() -> Standing:
            child = start_child(
                *("users", Standing.name, "--config", "mesh.toml", "--standby", "announced")
            )
            return Standing(child, *await child.ready())

        yield one


async def test_who_was_not_meant_says_whose_port_it_is_and_does_nothing(start: Any) -> None:
    users = await start()
    for target in ("/announce", "/drain"):
        for query in ("replica=users-1", "replica=users-1&weight=2", "replica=", "replica=users"):
            told = await users.post(f"{target}?{query}")
            assert told == Told(
                421,
                {
                    "type": "misdirected",
                    "title": "Misdirected",
                    "status": 421,
                    "detail": "This is users-2, and has done nothing; whoever was asked has left "
                    "this address.",
                    "replica": "users-2",
                },
            )
            assert await users.state() == STANDBY


async def test_who_was_meant_does_it_and_so_does_whoever_is_asked_without_a_name(
    start: Any,
) -> None:
    users = await start()
    assert await users.post("/announce?replica=users-2&weight=x") == Told(
        422, {"status": "standby", "detail": "weight is a number from 0.001 to 1000"}
    )
    twice = await users.post("/drain?replica=users-1&replica=users-2")
    assert (twice.status, twice.document["detail"]) == (422, "replica is given twice.")
    assert await users.post("/announce?replica=users-2") == Told(200, {"status": "ready"})
    assert await users.post("/announce?weight=2") == Told(200, {"status": "ready"})
    assert await users.post("/drain?replica=users-2") == Told(202, {"status": "draining"})
    assert await users.child.ended() == 0


async def test_a_replacement_takes_whoever_has_another_ones_port_for_nobody(start: Any) -> None:
    users = await start()
    other, own = users.called("users-1"), users.called(users.name)
    gone = rf"another replica answers at {users.admin} \(421\): users-1 is not there any more"
    with pytest.raises(ConnectFailed, match=gone):
        await users.replicas.announce(other, 1.0)
    with pytest.raises(ConnectFailed, match=gone) as failed:
        await users.replicas.drain(other)
    assert not failed.value.sent
    assert await users.state() == STANDBY
    await users.replicas.announce(own, 0.5)
    assert await users.state() == READY
    await users.replicas.drain(own)
    assert await users.child.ended() == 0


async def test_who_has_another_ones_port_is_not_asked_how_that_one_is(start: Any) -> None:
    users = await start()
    await users.post("/announce")
    assert await users.state() == READY
    assert await users.replicas.state(users.called("users-1")) == UNREACHABLE
    assert await users.replicas.figures(users.called(users.name))
    with pytest.raises(BadReply, match="/metrics answered 421"):
        await users.replicas.figures(users.called("users-1"))


async def test_a_replacement_does_not_think_that_it_has_told_the_other_one_to_leave(
    start: Any, tmp_path: Path
) -> None:
    from twisted.internet import reactor

    users = await start()
    clock = MonotonicClock(reactor)
    file = read_config(tmp_path / "mesh.toml")
    driver = make_driver("local", file, reactor=reactor, clock=clock)
    gatherer = Gatherer(
        "users", registry=FakeRegistry(), driver=driver, replicas=users.replicas, clock=clock
    )
    executor = Executor(
        driver=driver,
        replicas=users.replicas,
        journal=JournalFile(tmp_path, "users"),
        gatherer=gatherer,
        clock=clock,
    )
    step = Leave("users-1", users.called("users-1"), built=False)
    done: list[Done] = []
    await executor.execute((step,), done.append)
    [ended] = done
    assert "users-1 is not there any more" in ended.why
    assert gatherer.told == set()
    assert await users.state() == STANDBY
