"""The mesh as a caller has it, on scripted replicas in virtual time."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.defer import Deferred

from balancer import Ambient, BadReply, CallError, Overloaded, Rejected, ServiceFailed, current
from balancer.testing import Answer, Breaks, FakeReplica, World
from clients import Mesh
from clients.contract import Call, Contract, Message
from clients.testing import mesh_in
from clients.users import Erased, Users

USER = b"u_aaaaaaaaaaaaaaaa"
ERASED = Answer(body=b'{"id":"u_aaaaaaaaaaaaaaaa"}')


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def mesh(world: World) -> Mesh:
    return mesh_in(world)


@pytest.fixture
def replica(world: World) -> FakeReplica:
    (replica,) = world.add("users")
    replica.behaviour = ERASED
    return replica


def result(world: World, deferred: Deferred[Any]) -> Any:
    seen: list[Any] = []
    deferred.addCallbacks(seen.append, lambda failure: seen.append(failure.value))
    world.settle()
    (only,) = seen
    return only


def head(replica: FakeReplica, number: int = -1) -> dict[str, list[str]]:
    """The fields of a request that a replica was sent."""
    lines = replica.received[number].data.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    fields: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        fields.setdefault(name.lower(), []).append(value)
    return fields


def test_a_call_is_answered(world: World, mesh: Mesh, replica: FakeReplica) -> None:
    users = mesh.client(Users)
    assert result(world, users.erase(id=USER.decode())) == Erased(id=USER.decode())
    assert replica.received[0].data == (
        b"DELETE /v1/users/u_aaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: users\r\nMesh-Caller: test\r\n"
        b"Mesh-Deadline: 2000\r\n\r\n"
    )
    (stats,) = mesh.stats()
    assert (stats.service, stats.calls) == ("users", 1)
    assert list(mesh.fleet("users").replicas) == [replica.endpoint.address]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(status=404), Rejected),
        (Answer(status=500), ServiceFailed),
        (Answer(status=503), Overloaded),
        (Answer(body=b"{}"), BadReply),
        (Answer(status=302), BadReply),
        (Answer(body=b"<html>"), BadReply),
        (Answer(body=b'{"id": "\xff"}'), BadReply),
        (Answer(body=b'{"new":' + b"[" * 9999), BadReply),
    ],
)
def test_a_call_that_is_not_answered_says_why(
    world: World, mesh: Mesh, replica: FakeReplica, answer: Answer, kind: type[CallError]
) -> None:
    replica.behaviour = answer
    error = result(world, mesh.client(Users).erase(id="u_a"))
    assert type(error) is kind
    assert isinstance(error, CallError)
    assert error.service == "users"
    assert error.attempts >= 1
    assert "users.erase" in str(error)


def test_a_keyed_call_keeps_its_key_in_every_attempt_and_another_call_has_another(
    world: World, mesh: Mesh, replica: FakeReplica
) -> None:
    replica.behaviour = Breaks()
    users = mesh.client(Users)
    for _ in range(2):
        result(world, users.create(name="A", email="a@b.org", site="greetwell"))
    keys = [head(replica, number)["idempotency-key"][0] for number in range(8)]
    assert len(set(keys[:4])) == len(set(keys[4:])) == 1
    assert keys[0] != keys[4]
    assert len(keys[0]) == 32


def test_options_reach_the_wire_once_each(world: World, mesh: Mesh, replica: FakeReplica) -> None:
    users = mesh.client(Users)
    hasty = users.fetch.options(deadline_s=0.1, priority=3, site="greetwell")
    result(world, hasty(id="u_a"))
    fields = head(replica)
    assert fields["mesh-deadline"] == ["100"]
    assert fields["mesh-priority"] == ["3"], "instead of the contract's"
    assert fields["mesh-site"] == ["greetwell"]
    result(world, users.fetch(id="u_a"))
    assert head(replica)["mesh-priority"] == ["0"]
    create = users.create.options(idempotency_key="mine")
    result(world, create(name="A", email="a@b.org", site="greetwell"))
    assert head(replica)["idempotency-key"] == ["mine"]


@pytest.mark.parametrize(
    "options",
    [
        {"idempotency_key": ""},
        {"idempotency_key": "a\r\nX: y"},
        {"idempotency_key": "ü"},
        {"idempotency_key": "x" * 256},
        {"site": "a\nb"},
    ],
)
def test_an_option_that_cannot_stand_in_a_header_is_refused(
    mesh: Mesh, options: dict[str, str]
) -> None:
    create = mesh.client(Users).create.options(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 to 255 visible ASCII characters"):
        create(name="A", email="a@b.org", site="greetwell")


def test_a_key_for_a_call_that_takes_none_is_refused(mesh: Mesh) -> None:
    with pytest.raises(ValueError, match=r"users\.fetch takes no Idempotency-Key"):
        mesh.client(Users).fetch.options(idempotency_key="a")(id="u_a")


@pytest.mark.parametrize(
    ("left_s", "own_s", "seen_ms"), [(0.3, None, 300), (5.0, None, 2000), (0.3, 0.1, 100)]
)
def test_the_deadline_of_the_request_being_handled_is_inherited(
    world: World,
    mesh: Mesh,
    replica: FakeReplica,
    left_s: float,
    own_s: float | None,
    seen_ms: int,
) -> None:
    inherited = {b"mesh-site": b"fiesta", b"mesh-priority": b"2", b"traceparent": b"00-abc"}

    def handle() -> None:
        current.set(Ambient(world.clock.seconds() + left_s, inherited))
        mesh.client(Users).erase.options(deadline_s=own_s)(id="u_a")

    copy_context().run(handle)
    world.settle()
    fields = head(replica)
    assert abs(int(fields["mesh-deadline"][0]) - seen_ms) <= 1
    assert fields["mesh-site"] == ["fiesta"]
    assert fields["mesh-priority"] == ["2"]
    assert fields["traceparent"] == ["00-abc"]


def test_a_request_whose_time_is_up_calls_nobody(
    world: World, mesh: Mesh, replica: FakeReplica
) -> None:
    def handle() -> Deferred[Any]:
        current.set(Ambient(world.clock.seconds() - 0.1, {}))
        return mesh.client(Users).erase(id="u_a")

    error = result(world, copy_context().run(handle))
    assert error.kind == "deadline"
    assert replica.attempts == 0


def test_the_agent_inherits_the_deadline_too(
    world: World, mesh: Mesh, replica: FakeReplica
) -> None:
    def handle() -> None:
        current.set(Ambient(world.clock.seconds() + 0.25, {}))
        mesh.agent().request(b"GET", b"http://users/")

    copy_context().run(handle)
    mesh.agent(0.75).request(b"GET", b"http://users/")
    world.settle()
    assert [int(head(replica, n)["mesh-deadline"][0]) for n in (0, 1)] == [250, 750]


def test_an_awaited_call_in_a_coroutine(world: World, mesh: Mesh, replica: FakeReplica) -> None:
    async def both() -> list[str]:
        users = mesh.client(Users)
        one, two = users.erase(id="u_a"), users.erase(id="u_b")
        return [(await one).id, (await two).id]

    coroutine = cast("Deferred[list[str]]", Deferred.fromCoroutine(both()))
    assert result(world, coroutine) == [USER.decode()] * 2
    assert len(replica.received) == 2


class Ask(Message):
    sku: str
    page: int = 0


class Told(Message):
    text: str


class Shop(Contract, name="shop"):
    """Sells."""

    find = Call(Ask, Told, get="/v1/find/{sku}", hedge=0.95, affinity="sku")
    turn = Call(Ask, Told, get="/v1/turn/{sku}", affinity="page")


TOLD = Answer(body=b'{"text":"yes"}')


def test_calls_with_one_value_of_their_affinity_go_to_one_replica(world: World, mesh: Mesh) -> None:
    replicas = world.add("shop", 5)
    for replica in replicas:
        replica.behaviour = TOLD
    shop = mesh.client(Shop)
    for number in range(20):
        result(world, shop.find(sku="a", page=number))
    assert sorted(replica.attempts for replica in replicas) == [0, 0, 0, 0, 20]
    for number in range(40):
        result(world, shop.find(sku=f"b{number}"))
    assert sum(replica.attempts > 0 for replica in replicas) >= 4
    taken = [replica.attempts for replica in replicas]
    for sku in ("a", "b", "c"):
        result(world, shop.turn(sku=sku, page=7))
    assert max(r.attempts - had for r, had in zip(replicas, taken, strict=True)) == 3


def test_a_declared_hedge_is_sent_after_the_operations_own_latency(
    world: World, mesh: Mesh
) -> None:
    replicas = world.add("shop", 2)
    for replica in replicas:
        replica.behaviour = msgspec.structs.replace(TOLD, after_s=0.05)
    shop = mesh.client(Shop)
    for _ in range(100):
        result(world, shop.find(sku="a"))
    for replica in replicas:
        replica.behaviour = msgspec.structs.replace(TOLD, after_s=0.4)
    (stats,) = mesh.stats()
    for call, hedges in [(shop.turn, 0), (shop.find.options(hedge=0.0), 0), (shop.find, 1)]:
        result(world, call(sku="a"))
        assert stats.hedges == hedges
    assert [len(replica.received) - 100 for replica in replicas if replica.attempts > 99] == [3]
