from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from balancer import Rejected
from clients.greetings import Greetings, Recipient
from clients.products import Products
from clients.users import User, Users
from services.greetings import deliveries
from services.greetings import service as greetings_service
from services.greetings.service import Desk, deliver_due, open_desk
from services.greetings.views import FLUSH_INTERVAL_S
from services.kit import Run
from services.products import service as products_service
from services.products.service import open_catalogue
from services.users import service as users_service
from services.users.service import open_directory

HOUR = timedelta(hours=1)


class Shop:
    """All three services, a sender and a product."""

    def __init__(self, bridge: Any, desk: Desk) -> None:
        self.bridge = bridge
        self.desk = desk
        self.users = bridge.client(Users)
        self.products = bridge.client(Products)
        self.greetings: Greetings = bridge.client(Greetings)
        self.sender: User

    async def stock(self) -> None:
        self.sender = await self.users.create(name="Ada", email="ada@example.com", site="greetwell")
        await self.products.publish(
            sku="BDAY-00017",
            title="Sunflowers",
            description="A field of them.",
            occasion="birthday",
            category="card",
            sites=["greetwell"],
            price_cents=250,
            currency="USD",
        )
        self.bridge.calls.clear()

    def send(self, key: str | None = None, **changes: Any) -> Deferred[Any]:
        fields: Any = {
            "sender": self.sender.id,
            "recipients": [Recipient(name="Bo", email="bo@example.com")],
            "sku": "BDAY-00017",
            "message": "Many happy returns!",
            "site": "greetwell",
            **changes,
        }
        return self.greetings.send.options(idempotency_key=key)(**fields)


async def refused(call: Deferred[Any]) -> tuple[int, str]:
    with pytest.raises(Rejected) as caught:
        await call
    return caught.value.status, caught.value.type


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # the library has no types
async def shop(bridge: Any, tmp_path: Path) -> AsyncIterator[Shop]:
    kit = bridge.kit(tmp_path)
    async with AsyncExitStack() as stack:
        bridge.serve(users_service, await stack.enter_async_context(open_directory(kit)))
        bridge.serve(products_service, await stack.enter_async_context(open_catalogue(kit)))
        desk = await stack.enter_async_context(open_desk(kit))
        bridge.serve(greetings_service, desk)
        shop = Shop(bridge, desk)
        await shop.stock()
        yield shop


async def test_a_greetings_life(shop: Shop) -> None:
    sent = await shop.send()
    greeting = sent.greeting
    assert greeting.state == "sent"
    assert await shop.greetings.fetch(id=greeting.id) == greeting
    card = await shop.greetings.open(token=sent.token)
    assert (card.message, card.sender_name, card.sent_at) == (
        "Many happy returns!",
        "Ada",
        greeting.created_at,
    )
    listed = await shop.greetings.list_sent(sender=shop.sender.id)
    assert [found.id for found in listed.greetings] == [greeting.id]
    assert await refused(shop.greetings.cancel(id=greeting.id)) == (409, "not-scheduled")


async def test_a_scheduled_greeting_is_cancelled_or_opens_in_its_time(shop: Shop) -> None:
    due = shop.bridge.wall + HOUR
    cancelled, kept = await gatherResults([shop.send(deliver_at=due), shop.send(deliver_at=due)])
    assert kept.greeting.state == "scheduled"
    assert await refused(shop.greetings.open(token=kept.token)) == (409, "not-due")
    cancel = shop.greetings.cancel.options(idempotency_key="k")
    assert (await cancel(id=cancelled.greeting.id)).state == "cancelled"
    assert (await cancel(id=cancelled.greeting.id)).state == "cancelled"
    shop.bridge.wall = due
    assert await refused(shop.greetings.open(token=cancelled.token)) == (404, "not-found")
    assert (await shop.greetings.open(token=kept.token)).sent_at == due


async def test_a_retry_gets_the_same_greeting_and_asks_nobody(shop: Shop) -> None:
    due = shop.bridge.wall + HOUR
    first = await shop.send("k", deliver_at=due)
    assert sorted(shop.bridge.calls) == ["greetings.send", "products.fetch", "users.fetch"]
    shop.bridge.calls.clear()
    await shop.products.retire(sku="BDAY-00017")
    shop.bridge.wall = due + HOUR
    assert await shop.send("k", deliver_at=due) == first
    assert shop.bridge.calls == ["products.retire", "greetings.send"]
    assert await refused(shop.send("k", message="Another")) == (422, "key-reused")


async def test_retries_at_the_same_time_get_the_same_greeting(shop: Shop) -> None:
    answers = await gatherResults([shop.send("k") for _ in range(6)])
    assert answers == [answers[0]] * 6
    listed = await shop.greetings.list_sent(sender=shop.sender.id)
    assert len(listed.greetings) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"sender": "u_aaaaaaaaaaaaaaaa"},
        {"sku": "BDAY-99999"},
        {"site": "fiesta"},
        {"message": " "},
        {"recipients": []},
        {"recipients": [Recipient(name="Bo", email="nobody")]},
    ],
)
async def test_what_cannot_be_sent(shop: Shop, change: dict[str, Any]) -> None:
    assert (await refused(shop.send(**change)))[0] == 422
    listed = await shop.greetings.list_sent(sender=shop.sender.id)
    assert listed.greetings == []


async def test_a_retired_product_is_not_sent(shop: Shop) -> None:
    await shop.products.retire(sku="BDAY-00017")
    assert await refused(shop.send()) == (422, "invalid")


async def test_views_are_stored_each_second(shop: Shop) -> None:
    sent = await shop.send()
    await gatherResults([shop.greetings.open(token=sent.token) for _ in range(50)])
    assert (await shop.greetings.fetch(id=sent.greeting.id)).views == 0
    schedule = shop.bridge.schedule(greetings_service, shop.desk)
    shop.bridge.advance(2 * FLUSH_INTERVAL_S)
    await schedule.stop(1.0)
    # Writes take turns, so this one ends after the flush.
    await shop.send()
    assert (await shop.greetings.fetch(id=sent.greeting.id)).views == 50
    popular = await shop.greetings.popular(site="greetwell")
    assert [(found.id, found.views) for found in popular.greetings] == [(sent.greeting.id, 50)]


async def test_what_is_sent_at_once_is_delivered_at_once(shop: Shop) -> None:
    greeting = (await shop.send()).greeting
    assert greeting.delivered_at == greeting.created_at


async def test_what_is_due_is_delivered_once_and_says_when(shop: Shop) -> None:
    due = shop.bridge.wall + HOUR
    sent = await shop.send(deliver_at=due)
    run = Run(shop.desk, due)
    await deliver_due(run)
    assert (await shop.greetings.fetch(id=sent.greeting.id)).delivered_at is None
    shop.bridge.wall = due
    # The card opens when it is due, whether or not the job has run.
    assert (await shop.greetings.open(token=sent.token)).sent_at == due
    found = await shop.greetings.fetch(id=sent.greeting.id)
    assert (found.state, found.delivered_at) == ("sent", None)
    shop.bridge.wall = delivered = due + timedelta(seconds=1)
    await deliver_due(run)
    assert (await shop.greetings.fetch(id=sent.greeting.id)).delivered_at == delivered
    shop.bridge.wall += HOUR
    await deliver_due(run)
    assert (await shop.greetings.fetch(id=sent.greeting.id)).delivered_at == delivered


async def test_deliveries_are_made_in_their_time(shop: Shop) -> None:
    due = shop.bridge.wall + timedelta(seconds=30)
    sent = await shop.send(deliver_at=due)
    schedule = shop.bridge.schedule(greetings_service, shop.desk)
    delivered = None
    for _ in range(300):
        # Runs end in real time, in a thread of the storage.
        shop.bridge.advance(0.2)
        delivered = (await shop.greetings.fetch(id=sent.greeting.id)).delivered_at
        if delivered is not None:
            break
    await schedule.stop(1.0)
    assert delivered is not None
    assert due <= delivered <= due + timedelta(seconds=20)


async def test_views_of_the_last_moment_are_stored_at_the_stop(
    shop: Shop, bridge: Any, tmp_path: Path
) -> None:
    sent = await shop.send()
    async with open_desk(bridge.kit(tmp_path)) as replica:
        await replica.cards.open(sent.token)
        replica.views.count(sent.greeting.id)
    assert (await shop.greetings.fetch(id=sent.greeting.id)).views == 1


async def test_the_samples_are_served(bridge: Any, tmp_path: Path) -> None:
    async with open_desk(bridge.kit(tmp_path, sample_data=True)) as state:
        bridge.serve(greetings_service, state)
        greetings = bridge.client(Greetings)
        # Those that were due long ago were delivered then.
        assert not await state.storage.read(deliveries.any_due, bridge.wall)
        popular = (await greetings.popular(limit=3)).greetings
        assert len(popular) == 3
        assert (await greetings.fetch(id=popular[0].id)).views == popular[0].views
