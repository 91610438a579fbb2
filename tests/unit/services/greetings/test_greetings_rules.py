from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clients.greetings import Card, Recipient, SendGreeting
from clients.products import Product
from services.greetings import rules
from services.greetings.stored import StoredCard
from services.kit import Problem

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
BO = Recipient(name="Bo", email="bo@example.com")
GREETING = SendGreeting(
    sender="u_aaaaaaaaaaaaaaaa",
    recipients=[BO],
    sku="BDAY-00017",
    message="Many happy returns!",
    site="greetwell",
)
PRODUCT = Product(
    sku="BDAY-00017",
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
STORED = StoredCard(
    id="g_aaaaaaaaaaaaaaaa",
    message="Hi",
    sender_name="Ada",
    sku="BDAY-00017",
    site="greetwell",
    deliver_at=None,
    cancelled_at=None,
    created_at=NOW,
)
moments = st.none() | st.datetimes(timezones=st.just(UTC))


def refusal(request: SendGreeting) -> str:
    with pytest.raises(Problem) as caught:
        rules.clean(request, NOW)
    assert (caught.value.status, caught.value.type) == (422, "invalid")
    return str(caught.value.members["field"])


def test_a_clean_greeting_stays_as_it_is() -> None:
    assert rules.clean(GREETING, NOW) == GREETING


def test_cleaning() -> None:
    dirty = replace(
        GREETING,
        message="  Jose\u0301,\r\nhappy birthday!\n",
        recipients=[Recipient(name=" Bo  B ", email="bo@EXAMPLE.com")],
    )
    clean = rules.clean(dirty, NOW)
    assert clean.message == "José,\nhappy birthday!"
    assert clean.recipients == [Recipient(name="Bo B", email="bo@example.com")]


@pytest.mark.parametrize("message", [" \n", "a\x00b", "\ufb2c" * 2000])
def test_messages_that_are_refused(message: str) -> None:
    assert refusal(replace(GREETING, message=message)) == "message"


@pytest.mark.parametrize(
    ("recipient", "field"),
    [
        (Recipient(name=" ", email="x@example.com"), "recipients[1].name"),
        (Recipient(name="a\x00", email="x@example.com"), "recipients[1].name"),
        (Recipient(name="X", email="nobody"), "recipients[1].email"),
        (Recipient(name="X", email="BO@example.com"), "recipients[1].email"),
    ],
)
def test_recipients_that_are_refused(recipient: Recipient, field: str) -> None:
    assert refusal(replace(GREETING, recipients=[BO, recipient])) == field


@pytest.mark.parametrize("ago", [timedelta(0), HOUR])
def test_nothing_is_due_in_the_past(ago: timedelta) -> None:
    assert refusal(replace(GREETING, deliver_at=NOW - ago)) == "deliver_at"


@pytest.mark.parametrize(
    "instant",
    [NOW + timedelta(days=3654), datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))],
)
def test_nothing_is_due_in_another_age(instant: datetime) -> None:
    assert refusal(replace(GREETING, deliver_at=instant)) == "deliver_at"


def test_products() -> None:
    rules.check_product(PRODUCT, "greetwell")
    for product, site in ((replace(PRODUCT, state="retired"), "greetwell"), (PRODUCT, "fiesta")):
        with pytest.raises(Problem) as caught:
            rules.check_product(product, site)
        assert (caught.value.status, caught.value.members["field"]) == (422, "sku")


@given(moments, moments, st.datetimes(timezones=st.just(UTC)))
def test_a_greeting_is_in_one_state_and_sent_for_good(
    deliver_at: datetime | None, cancelled_at: datetime | None, now: datetime
) -> None:
    state = rules.state_of(deliver_at, cancelled_at, now)
    assert (state == "cancelled") == (cancelled_at is not None)
    assert (state == "scheduled") == (
        cancelled_at is None and deliver_at is not None and deliver_at > now
    )
    if state == "sent" and now < datetime(9999, 1, 1, tzinfo=UTC):
        assert rules.state_of(deliver_at, cancelled_at, now + HOUR) == "sent"


def test_a_greeting_is_sent_from_the_moment_that_it_is_due() -> None:
    assert rules.state_of(NOW, None, NOW - timedelta(microseconds=1)) == "scheduled"
    assert rules.state_of(NOW, None, NOW) == "sent"


def test_an_open_card() -> None:
    card = Card(message="Hi", sender_name="Ada", sku="BDAY-00017", site="greetwell", sent_at=NOW)
    assert rules.open_card(STORED, NOW) == card


@pytest.mark.parametrize(
    ("card", "status"),
    [
        (None, 404),
        (
            StoredCard(
                **{**{f: getattr(STORED, f) for f in STORED.__slots__}, "cancelled_at": NOW}
            ),
            404,
        ),
        (
            StoredCard(
                **{**{f: getattr(STORED, f) for f in STORED.__slots__}, "deliver_at": NOW + HOUR}
            ),
            409,
        ),
    ],
)
def test_cards_that_do_not_open(card: StoredCard | None, status: int) -> None:
    with pytest.raises(Problem) as caught:
        rules.open_card(card, NOW)
    assert caught.value.status == status
