"""The three services as real replicas: a call that crosses tiers, with its deadline and its key."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import pytest_twisted
import treq
from twisted.internet.defer import ensureDeferred

from balancer import CallError, Rejected
from balancer.telemetry import CallEntry, DecisionEntry, DecisionHeader
from clients import Mesh
from clients.greetings import Greetings, Recipient
from clients.products import Products
from clients.users import Users
from tests.processes import Child, children

SENDER = "u_p5rm372ap7n6wx2y"
ADA = Recipient(name="Ada", email="ada@example.com")


class Town(NamedTuple):
    """One replica of each service, and a caller."""

    mesh: Mesh
    users: Child
    products: Child
    greetings: Child


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with children(tmp_path) as start:
        replicas = [start(name, f"{name}-1") for name in ("users", "products", "greetings")]
        for replica in replicas:
            pytest_twisted.blockon(ensureDeferred(replica.ready()))
        mesh = Mesh(registry=f"file:{tmp_path}/.mesh/leases")
        yield Town(mesh, *replicas)
        mesh.close()


async def test_a_greeting_is_sent_once_and_opened_and_counted(town: Town) -> None:
    greetings = town.mesh.client(Greetings)
    product = (await town.mesh.client(Products).search(site="cardhouse", limit=1)).products[0]
    send = greetings.send.options(idempotency_key="only-once")
    asked = {
        "sender": SENDER,
        "recipients": [ADA],
        "sku": product.sku,
        "message": "Hello, Ada.",
        "site": "cardhouse",
    }
    first = await send(**asked)  # type: ignore[arg-type]
    again = await send(**asked)  # type: ignore[arg-type]
    assert again == first
    with pytest.raises(Rejected) as refused:
        await send(**{**asked, "message": "Something else."})  # type: ignore[arg-type]
    assert (refused.value.status, refused.value.type) == (422, "key-reused")
    for _ in range(5):
        card = await greetings.open(token=first.token)
    assert card.message == "Hello, Ada."

    async def views() -> int:
        return (await greetings.fetch(id=first.greeting.id)).views

    # Views are written once a second, some maybe in one write and the rest in the next.
    end = time.monotonic() + 10.0
    while (found := await views()) < 5:
        assert time.monotonic() < end
    assert found == 5
    page = await greetings.list_sent(sender=SENDER, limit=1)
    assert page.greetings[0].id == first.greeting.id


async def test_unknown_parties_are_told_by_field(town: Town) -> None:
    greetings = town.mesh.client(Greetings)
    with pytest.raises(Rejected) as refused:
        await greetings.send(
            sender="u_aaaaaaaaaaaaaaaa",
            recipients=[ADA],
            sku="BDAY-00007",
            message="Hello",
            site="cardhouse",
        )
    assert refused.value.status == 422
    assert b'"field":"sender"' in refused.value.body


async def test_whom_a_service_asked_and_why_is_on_its_admin_port(town: Town) -> None:
    await town.mesh.client(Greetings).send(
        sender=SENDER, recipients=[ADA], sku="BDAY-00007", message="Hello", site="cardhouse"
    )
    _, admin = await town.greetings.ready()
    answer = await treq.get(f"http://{admin}/decisions", persistent=False)
    assert answer.headers.getRawHeaders("Content-Type") == ["application/x-ndjson"]
    first, *lines = (await answer.content()).splitlines()
    assert msgspec.json.decode(first, type=DecisionHeader).every == 1000
    calls = [msgspec.json.decode(line, type=DecisionEntry) for line in lines]
    assert calls, "the first call is always sampled"
    for call in calls:
        assert isinstance(call, CallEntry)
        assert call.service in ("products", "users")
        assert call.attempts[0].why == "the only one"


async def test_a_deadline_crosses_tiers(town: Town) -> None:
    """Users is frozen: the sender's caller gets its answer in time, and greetings keeps nothing."""
    greetings = town.mesh.client(Greetings)
    await greetings.popular()
    _, admin = await town.greetings.ready()
    town.users.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(CallError) as failed:
            await greetings.send.options(deadline_s=0.6)(
                sender=SENDER,
                recipients=[ADA],
                sku="BDAY-00007",
                message="Hello",
                site="cardhouse",
            )
        assert failed.value.kind == "deadline"
        # The whole deadline and no more than a busy machine's lateness beyond it.
        assert 0.5 <= time.monotonic() - began < 3.0

        async def in_flight() -> bytes:
            answer = await treq.get(f"http://{admin}/metrics", persistent=False)
            text: bytes = await answer.content()
            return next(
                line.rpartition(b" ")[2]
                for line in text.splitlines()
                if line.startswith(b"mesh_requests_in_flight ")
            )

        # Greetings gave up at the same deadline: a call of its own has no longer one.
        end = time.monotonic() + 3.0
        while await in_flight() != b"0.0":
            assert time.monotonic() < end
    finally:
        town.users.signal(signal.SIGCONT)
    assert (await town.mesh.client(Users).fetch(id=SENDER)).id == SENDER
