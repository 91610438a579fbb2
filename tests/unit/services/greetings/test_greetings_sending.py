from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from balancer import NoReplicas, Rejected
from clients.contract import Call, CallOptions, Message
from clients.greetings import Recipient, SendGreeting
from clients.products import Product, Products
from clients.users import User, Users
from services.greetings.sending import check_parties
from services.kit import Problem

NOW = datetime(2026, 11, 20, tzinfo=UTC)
GREETING = SendGreeting(
    sender="u_aaaaaaaaaaaaaaaa",
    recipients=[Recipient(name="Bo", email="bo@example.com")],
    sku="BDAY-00017",
    message="Many happy returns!",
    site="greetwell",
)
ADA = User(
    id=GREETING.sender,
    version=1,
    name="Ada",
    email="ada@example.com",
    phone=None,
    site="greetwell",
    created_at=NOW,
)
PRODUCT = Product(
    sku=GREETING.sku,
    title="Sunflowers",
    description="A field of them.",
    occasion="birthday",
    category="card",
    sites=["greetwell"],
    price_cents=250,
    currency="USD",
    state="published",
    updated_at=NOW,
)


class Wire:
    """Carries calls to the test, which answers them."""

    def __init__(self) -> None:
        self.asked: dict[str, Deferred[Any]] = {}
        self.cancelled: list[str] = []

    def carry(
        self, call: Call[Any, Any, Any], message: Message, options: CallOptions | None
    ) -> Deferred[Any]:
        del message, options
        answer: Deferred[Any] = Deferred(lambda _: self.cancelled.append(call.service))
        self.asked[call.service] = answer
        return answer


@pytest.fixture
def wire() -> Wire:
    return Wire()


def check(wire: Wire) -> Deferred[str]:
    return Deferred.fromCoroutine(check_parties(GREETING, Users(wire), Products(wire)))


def rejected(status: int) -> Rejected:
    return Rejected("refused", status=status)


async def test_both_are_asked_at_once(wire: Wire) -> None:
    checking = check(wire)
    assert sorted(wire.asked) == ["products", "users"]
    wire.asked["products"].callback(PRODUCT)
    wire.asked["users"].callback(ADA)
    assert await checking == "Ada"


@pytest.mark.parametrize(("service", "field"), [("users", "sender"), ("products", "sku")])
async def test_who_or_what_is_unknown_is_named(wire: Wire, service: str, field: str) -> None:
    checking = check(wire)
    wire.asked.pop(service).errback(rejected(404))
    for name, answer in wire.asked.items():
        if not answer.called:
            answer.callback(ADA if name == "users" else PRODUCT)
    with pytest.raises(Problem) as caught:
        await checking
    assert (caught.value.status, caught.value.members["field"]) == (422, field)


async def test_a_retired_product_is_refused(wire: Wire) -> None:
    checking = check(wire)
    wire.asked["users"].callback(ADA)
    wire.asked["products"].callback(replace(PRODUCT, state="retired"))
    with pytest.raises(Problem) as caught:
        await checking
    assert (caught.value.status, caught.value.members["field"]) == (422, "sku")


@pytest.mark.parametrize("error", [rejected(403), NoReplicas("no replica of users")])
async def test_a_service_without_an_answer_is_not_the_callers_mistake(
    wire: Wire, error: Exception
) -> None:
    checking = check(wire)
    wire.asked["users"].errback(error)
    with pytest.raises(type(error)):
        await checking
    assert wire.cancelled == ["products"]
