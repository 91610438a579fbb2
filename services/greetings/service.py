"""The greetings service: what it answers to each call of its contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from clients.greetings import (
    CancelGreeting,
    Card,
    FetchGreeting,
    FindPopular,
    Greeting,
    GreetingPage,
    Greetings,
    ListSent,
    OpenCard,
    PopularGreetings,
    SendGreeting,
    Sent,
)
from clients.products import Products
from clients.users import Users

from ..kit import Context, Kit, Run, Service
from ..kit.storage import Storage, open_records, request_key, stored_answer
from . import card_rows, deliveries, rows, rules
from .cards import Cards
from .samples import load_samples
from .sending import check_parties
from .tables import keys, metadata
from .views import FLUSH_INTERVAL_S, ViewCounts

# What a delivery may be late by; one read a second over all replicas is no load.
DELIVERY_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Desk:
    """What the handlers work with.

    Attributes:
        storage: the records.
        users: the users service's client.
        products: the products service's client.
        cards: finds cards, mostly in memory.
        views: counts them.
        wall: the time of day, aware.
    """

    storage: Storage
    users: Users
    products: Products
    cards: Cards
    views: ViewCounts
    wall: Callable[[], datetime]


@asynccontextmanager
async def open_desk(kit: Kit) -> AsyncIterator[Desk]:
    """Open the records; at the end store the views that are not stored yet."""
    async with open_records(
        kit,
        "greetings",
        metadata=metadata,
        migrations="services.greetings.migrations",
        keys=keys,
        sample=lambda connection: load_samples(connection, kit.wall()),
    ) as storage:
        views = ViewCounts(lambda counted: storage.write(card_rows.add_views, counted))
        cards = Cards(
            lambda token: storage.read(card_rows.find_card, token),
            seconds=kit.clock.seconds,
            wall=kit.wall,
        )
        try:
            yield Desk(
                storage=storage,
                users=kit.mesh.client(Users),
                products=kit.mesh.client(Products),
                cards=cards,
                views=views,
                wall=kit.wall,
            )
        finally:
            await views.flush()


service = Service(Greetings, opens=open_desk)


@service.every(FLUSH_INTERVAL_S, on="each")
async def flush_views(run: Run[Desk]) -> None:
    """Store the views that this process has counted."""
    await run.state.views.flush()


@service.every(DELIVERY_INTERVAL_S)
async def deliver_due(run: Run[Desk]) -> None:
    """Deliver the greetings whose time has come."""
    storage, wall = run.state.storage, run.state.wall
    if await storage.read(deliveries.any_due, wall()):
        while await storage.write(deliveries.deliver, wall()) == deliveries.BATCH_ROWS:
            pass


@service.answers(Greetings.send)
async def send(request: SendGreeting, context: Context[Desk]) -> Sent:
    """Send a greeting, or schedule one."""
    state = context.state
    key = request_key("greetings.send", context.idempotency_key, request)
    if key is not None:
        # A retry is answered although the product was retired or the hour has passed meanwhile.
        before = await state.storage.read(stored_answer, keys, key, Sent)
        if before is not None:
            return before
    clean = rules.clean(request, state.wall())
    sender_name = await check_parties(clean, state.users, state.products)
    return await state.storage.write(rows.send, clean, sender_name, key, state.wall())


@service.answers(Greetings.fetch)
async def fetch(request: FetchGreeting, context: Context[Desk]) -> Greeting:
    """Read a greeting as its sender."""
    state = context.state
    return await state.storage.read(rows.fetch, request.id, state.wall())


@service.answers(Greetings.open)
async def open_card(request: OpenCard, context: Context[Desk]) -> Card:
    """Open a card and count the view."""
    opened = await context.state.cards.open(request.token)
    context.state.views.count(opened.greeting_id)
    return opened.card


@service.answers(Greetings.list_sent)
async def list_sent(request: ListSent, context: Context[Desk]) -> GreetingPage:
    """Read what a user has sent."""
    state = context.state
    return await state.storage.read(rows.page, request, state.wall())


@service.answers(Greetings.cancel)
async def cancel(request: CancelGreeting, context: Context[Desk]) -> Greeting:
    """Cancel a greeting that is not due yet."""
    state = context.state
    key = request_key("greetings.cancel", context.idempotency_key, request)
    return await state.storage.write(rows.cancel, request.id, key, state.wall())


@service.answers(Greetings.popular)
async def popular(request: FindPopular, context: Context[Desk]) -> PopularGreetings:
    """Find the most opened greetings."""
    return await context.state.storage.read(card_rows.popular, request)
