from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit import Problem
from services.kit.values import clean_email
from services.users import rules

TODAY = date(2026, 11, 20)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
locals_ = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,20}", fullmatch=True)
domains = st.sampled_from(["example.com", "Example.ORG", "mail.example.net"])


def cleaned(clean: Callable[[str], str | None], text: str) -> str | None:
    """What a text becomes; None when it is refused, as it should be."""
    try:
        return clean(text)
    except Problem as problem:
        refused = refusal(problem)
    assert refused == (422, "invalid", "phone")
    return None


def refusal(problem: Problem) -> tuple[int, str, object]:
    return problem.status, problem.type, problem.members["field"]


@given(locals_, domains)
def test_addresses_are_equal_whatever_their_case(local: str, domain: str) -> None:
    email = f"{local}@{domain}"
    assert rules.email_key(clean_email(email)) == rules.email_key(clean_email(email.swapcase()))


@pytest.mark.parametrize(
    ("phone", "clean"),
    [
        (None, None),
        ("+1 202-555-0123", "+12025550123"),
        ("+34 912 34 56 78", "+34912345678"),
        ("+49 (0)30 901820", "+4930901820"),
        (
            "\uff0b\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff12\uff13",
            "+12025550123",
        ),
    ],
)
def test_phones(phone: str | None, clean: str | None) -> None:
    assert rules.clean_phone(phone) == clean


@pytest.mark.parametrize(
    "phone", ["", "202-555-0123", "+1 202", "+999 12345678", "+1 202 555 0123 ext 9", "call me"]
)
def test_what_is_no_phone_is_refused_without_showing_it(phone: str) -> None:
    with pytest.raises(Problem) as caught:
        rules.clean_phone(phone)
    assert refusal(caught.value) == (422, "invalid", "phone")
    assert not phone or phone not in caught.value.detail


@given(st.one_of(texts, st.integers(0, 10**14).map(lambda number: f"+{number}")))
def test_a_clean_phone_stays_as_it_is(phone: str) -> None:
    clean = cleaned(rules.clean_phone, phone)
    if clean is None:
        return
    assert rules.clean_phone(clean) == clean
    assert phonenumbers.is_valid_number(phonenumbers.parse(clean, None))


@pytest.mark.parametrize("birthday", [None, date(1900, 1, 1), date(1999, 2, 28), TODAY])
def test_birthdays(birthday: date | None) -> None:
    assert rules.check_birthday(birthday, TODAY) == birthday


@pytest.mark.parametrize("birthday", [date(1899, 12, 31), TODAY + timedelta(days=1)])
def test_birthdays_of_nobody_alive(birthday: date) -> None:
    with pytest.raises(Problem) as caught:
        rules.check_birthday(birthday, TODAY)
    assert refusal(caught.value) == (422, "invalid", "birthday")
