"""The bytes on the wire, for every call of every contract: a change to them is seen in review.

Callers and replicas of different versions must understand each other while a new one is rolled
out. So requests and answers are kept as files; after a change that is meant, write them anew with
``python tests/contract/test_contract_golden.py`` and read the difference.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from balancer.testing import World
from clients.contract import AnswerDecoder, Call, Contract, Message
from clients.greetings import (
    Card,
    Greeting,
    GreetingPage,
    Greetings,
    PopularGreeting,
    PopularGreetings,
    Recipient,
    Sent,
)
from clients.products import Product, ProductPage, Products
from clients.testing import mesh_in
from clients.users import Contact, ContactPage, Erased, User, Users

GOLDEN = Path(__file__).parent / "golden"
MOMENT = datetime(2026, 11, 20, 12, 30, 5, 250000, tzinfo=UTC)
USER_ID = "u_mzxw6ytboi2dsmjq"
CONTACT_ID = "c_mzxw6ytboi2dsmjq"
GREETING_ID = "g_mzxw6ytboi2dsmjq"
TOKEN = "t_mzxw6ytboi2dsmjqmzxw6ytboi"
ADA: dict[str, Any] = {"name": "Ada Löve", "email": "ada@example.com", "phone": "+12025550123"}
CARD: dict[str, Any] = {
    "sku": "BDAY-00017",
    "title": "¡Feliz día!",
    "description": "A cake.",
    "occasion": "birthday",
    "category": "card",
    "sites": ["fiesta", "greetwell"],
    "price_cents": 250,
    "currency": "EUR",
}
BO = Recipient(name="Bo", email="bo@example.com")

# What is asked: (call, fields). More than one where the optional ones matter.
ASKED: list[tuple[Call[Any, Any, Any], dict[str, Any]]] = [
    (Users.create, {**ADA, "site": "greetwell"}),
    (Users.create, {"name": "A", "email": "a@b.org", "site": "greetwell"}),
    (Users.fetch, {"id": USER_ID}),
    (Users.find, {"email": "ada+cards@example.com"}),
    (Users.update, {"id": USER_ID, "version": 3, **ADA}),
    (Users.erase, {"id": USER_ID}),
    (Users.add_contact, {"user_id": USER_ID, **ADA, "birthday": date(1990, 2, 28)}),
    (Users.list_contacts, {"user_id": USER_ID}),
    (Users.list_contacts, {"user_id": USER_ID, "cursor": "ab/+=", "limit": 7}),
    (Users.remove_contact, {"user_id": USER_ID, "id": CONTACT_ID}),
    (Products.fetch, {"sku": "BDAY-00017"}),
    (Products.search, {}),
    (Products.search, {"text": "días & más", "occasion": "birthday", "site": "fiesta", "limit": 5}),
    (Products.publish, CARD),
    (Products.retire, {"sku": "BDAY-00017"}),
    (
        Greetings.send,
        {
            "sender": USER_ID,
            "recipients": [BO],
            "sku": "BDAY-00017",
            "message": 'Many "happy" returns!\n¡Ya!',
            "site": "greetwell",
            "deliver_at": MOMENT,
        },
    ),
    (Greetings.fetch, {"id": GREETING_ID}),
    (Greetings.open, {"token": TOKEN}),
    (Greetings.list_sent, {"sender": USER_ID, "limit": 2}),
    (Greetings.cancel, {"id": GREETING_ID}),
    (Greetings.popular, {"site": "greetwell", "limit": 3}),
]
GREETING = Greeting(
    id=GREETING_ID,
    sender=USER_ID,
    recipients=[BO],
    sku="BDAY-00017",
    message="Hi",
    site="greetwell",
    deliver_at=None,
    state="sent",
    created_at=MOMENT,
    delivered_at=MOMENT,
    views=3,
)
PRODUCT = Product(**CARD, state="published", updated_at=MOMENT)
CONTACT = Contact(id=CONTACT_ID, user_id=USER_ID, **ADA, birthday=None)
ANSWERED: list[Message] = [
    User(id=USER_ID, version=1, **ADA, site="greetwell", created_at=MOMENT),
    CONTACT,
    ContactPage(contacts=[CONTACT], next=None),
    Erased(id=USER_ID),
    PRODUCT,
    ProductPage(products=[PRODUCT], next="abc"),
    GREETING,
    Sent(greeting=GREETING, token=TOKEN),
    Card(message="Hi", sender_name="Ada", sku="BDAY-00017", site="greetwell", sent_at=MOMENT),
    GreetingPage(greetings=[GREETING], next=None),
    PopularGreetings(
        greetings=[PopularGreeting(id=GREETING_ID, sku="BDAY-00017", site="greetwell", views=9)]
    ),
]
CONTRACTS: list[type[Contract]] = [Users, Products, Greetings]


def requests() -> str:
    """Every request as a replica receives it, one after the other."""
    parts = []
    for call, fields in ASKED:
        world = World()
        (replica,) = world.add(call.service)
        contract = next(each for each in CONTRACTS if each.service == call.service)
        bound = getattr(mesh_in(world).client(contract), call.name)
        if call.keyed:
            bound = bound.options(idempotency_key="a-key-of-the-caller")
        bound(**fields).addErrback(lambda _failure: None)
        world.settle()
        head, _, body = replica.received[0].data.partition(b"\r\n\r\n")
        shown = head.replace(b"\r\n", b"\n") + b"\n\n" + body + (b"\n" if body else b"")
        parts.append(f"### {call.service}.{call.name}\n{shown.decode('utf-8')}")
    return "\n".join(parts)


def answers() -> str:
    """Every kind of answer as a replica sends it, a line each."""
    lines = [f"{type(each).__name__} {msgspec.json.encode(each).decode()}\n" for each in ANSWERED]
    return "".join(lines)


def test_requests_are_what_they_were() -> None:
    assert requests() == (GOLDEN / "requests.txt").read_text(encoding="utf-8")


def test_answers_are_what_they_were() -> None:
    assert answers() == (GOLDEN / "answers.txt").read_text(encoding="utf-8")


def test_every_call_and_every_kind_of_answer_is_here() -> None:
    calls = [call for contract in CONTRACTS for call in contract.calls.values()]
    assert {call for call, _ in ASKED} == set(calls)
    assert {type(answer) for answer in ANSWERED} == {call.answer for call in calls}


@pytest.mark.parametrize("line", (GOLDEN / "answers.txt").read_text(encoding="utf-8").splitlines())
def test_yesterdays_answers_are_understood(line: str) -> None:
    name, _, body = line.partition(" ")
    wanted = next(answer for answer in ANSWERED if type(answer).__name__ == name)
    calls = [call for contract in CONTRACTS for call in contract.calls.values()]
    call = next(call for call in calls if call.answer is type(wanted))
    assert AnswerDecoder(call).decode(body.encode("utf-8")) == wanted


if __name__ == "__main__":
    (GOLDEN / "requests.txt").write_text(requests(), encoding="utf-8")
    (GOLDEN / "answers.txt").write_text(answers(), encoding="utf-8")
