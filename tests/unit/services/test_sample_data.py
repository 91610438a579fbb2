"""The sample data: made again it is the same, and the services can take it as it is."""

import re
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar

import msgspec
import phonenumbers
import pytest
from email_validator import validate_email

from examples.sample_data.generate import ROOT, make_files, to_jsonl
from examples.sample_data.messages import SLOT
from examples.sample_data.shapes import Contact, Greeting, Product, Shape, User

Record = TypeVar("Record", bound=Shape)

PRODUCTS = "services/products/sample/products.jsonl"
USERS = "services/users/sample/users.jsonl"
CONTACTS = "services/users/sample/contacts.jsonl"
GREETINGS = "services/greetings/sample/greetings.jsonl"
SHAPES: dict[str, type[Shape]] = {
    PRODUCTS: Product,
    USERS: User,
    CONTACTS: Contact,
    GREETINGS: Greeting,
}
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
SITES = {"greetwell", "cardhouse", "fiesta"}


@cache
def read(name: str, shape: type[Record]) -> list[Record]:
    lines = (ROOT / name).read_bytes().splitlines()
    return [msgspec.json.decode(line, type=shape) for line in lines]


def products() -> dict[str, Product]:
    return {product.sku: product for product in read(PRODUCTS, Product)}


def users() -> dict[str, User]:
    return {user.id: user for user in read(USERS, User)}


def contacts() -> list[Contact]:
    return read(CONTACTS, Contact)


def greetings() -> list[Greeting]:
    return read(GREETINGS, Greeting)


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return make_files()


@pytest.mark.parametrize("name", SHAPES)
def test_generating_again_gives_the_checked_in_bytes(name: str, made: dict[str, bytes]) -> None:
    same = made[name] == (ROOT / name).read_bytes()
    assert same, f"{name} is stale: run python -m examples.sample_data.generate"


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_holds_its_keys_in_order_and_nothing_else(name: str) -> None:
    assert to_jsonl(read(name, SHAPES[name])) == (ROOT / name).read_bytes()


def test_all_files_together_stay_under_2_mb() -> None:
    assert sum((ROOT / name).stat().st_size for name in SHAPES) < 2_000_000


def test_records_are_sorted_and_their_keys_unique() -> None:
    for keys in (
        [product.sku for product in read(PRODUCTS, Product)],
        [user.id for user in read(USERS, User)],
        [contact.id for contact in contacts()],
        [greeting.id for greeting in greetings()],
    ):
        assert keys == sorted(set(keys))
    assert len({greeting.token for greeting in greetings()}) == len(greetings())


def test_identifiers_have_the_services_form() -> None:
    forms = (
        (r"[A-Z]{4}-[0-9]{5}", products()),
        (r"u_[a-z2-7]{16}", users()),
        (r"c_[a-z2-7]{16}", [contact.id for contact in contacts()]),
        (r"g_[a-z2-7]{16}", [greeting.id for greeting in greetings()]),
        (r"t_[a-z2-7]{26}", [greeting.token for greeting in greetings()]),
    )
    for pattern, values in forms:
        assert [value for value in values if not re.fullmatch(pattern, value)] == []


def test_counts() -> None:
    assert len(products()) >= 320
    assert len({product.occasion for product in products().values()}) >= 10
    assert {site for product in products().values() for site in product.sites} == SITES
    assert {product.category for product in products().values()} == {
        "card",
        "animated",
        "postcard",
        "gift",
    }
    states = Counter(product.state for product in products().values())
    assert set(states) == {"published", "retired"}
    assert 5 <= states["retired"] <= 40
    assert len(users()) == 1_000
    assert {user.site for user in users().values()} == SITES
    assert len(greetings()) == 2_000


def test_every_product_has_its_own_words_and_a_fair_price() -> None:
    titles = Counter(
        (product.title, site) for product in products().values() for site in product.sites
    )
    assert max(titles.values()) == 1
    for product in products().values():
        assert 0 < len(product.title) <= 80
        # Four stops at most: three sentences, and a `Dr.` or `a.m.` in a quotation.
        assert product.description[-1] in '.!?"'
        assert len(re.findall(r"[.!?](?=\s|$)", product.description)) <= 4
        assert product.price_cents > 0
        assert product.currency == (
            "USD"
            if "greetwell" in product.sites
            else {"cardhouse": "GBP", "fiesta": "MXN"}[product.sites[0]]
        )
        assert product.updated_at < NOVEMBER


def test_addresses_are_valid_and_those_of_users_unique() -> None:
    emails = [user.email for user in users().values()]
    assert len(set(emails)) == len(emails)
    for email in {*emails, *(contact.email for contact in contacts())}:
        checked = validate_email(
            email, check_deliverability=False, strict=True, allow_smtputf8=False
        )
        assert checked.normalized == email == email.lower()
        assert checked.domain in {"example.com", "example.org", "example.net"}


def test_telephones_are_valid_and_in_e164() -> None:
    phones = [user.phone for user in users().values()]
    phones += [contact.phone for contact in contacts()]
    assert None in phones
    for phone in filter(None, phones):
        number = phonenumbers.parse(phone)
        assert phonenumbers.is_valid_number(number)
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == phone


def test_every_user_has_two_to_six_contacts() -> None:
    owned = Counter(contact.user_id for contact in contacts())
    assert set(owned) == set(users())
    assert min(owned.values()) == 2
    assert max(owned.values()) == 6
    birthdays = [contact.birthday for contact in contacts()]
    assert None in birthdays
    assert all(birthday < NOVEMBER.date() for birthday in birthdays if birthday)


def test_greetings_are_from_a_user_to_their_contacts() -> None:
    known = {(contact.user_id, contact.name, contact.email) for contact in contacts()}
    sizes = set()
    for greeting in greetings():
        sender = users()[greeting.sender]
        assert (greeting.sender_name, greeting.site) == (sender.name, sender.site)
        assert greeting.created_at > sender.created_at
        recipients = {(sender.id, to.name, to.email) for to in greeting.recipients}
        assert recipients <= known
        assert len(recipients) == len(greeting.recipients)
        sizes.add(len(recipients))
    assert sizes == {1, 2, 3, 4}


def test_greetings_use_products_that_their_site_sells() -> None:
    for greeting in greetings():
        product = products()[greeting.sku]
        assert product.state == "published"
        assert greeting.site in product.sites


def test_messages_are_all_different_and_have_no_open_slots() -> None:
    messages = [greeting.message for greeting in greetings()]
    assert len(set(messages)) == len(messages)
    for message in messages:
        assert 1 <= len(message) <= 2_000
        assert not SLOT.search(message)
        assert "  " not in message


def test_greetings_are_past_but_for_a_few_in_2027() -> None:
    waiting = 0
    for greeting in greetings():
        assert greeting.created_at < NOVEMBER
        if greeting.deliver_at is None:
            continue
        assert greeting.deliver_at > greeting.created_at
        if greeting.deliver_at >= NOVEMBER:
            assert greeting.deliver_at.year == 2027
            assert greeting.views == 0
            waiting += 1
    assert 5 <= waiting <= 50
    assert any(greeting.deliver_at is None for greeting in greetings())


def test_views_have_a_long_tail() -> None:
    views = sorted(greeting.views for greeting in greetings())
    assert views[0] == 0
    assert views[len(views) // 2] <= 5
    assert 3 <= sum(count >= 1_000 for count in views) <= 30
