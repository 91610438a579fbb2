"""Names, texts and addresses: one spelling of each, and refusals that show none of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit import Problem
from services.kit.values import LONGEST_NAME, clean_email, clean_name, clean_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
locals_ = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,20}", fullmatch=True)
domains = st.sampled_from(["example.com", "Example.ORG", "mail.example.net"])


def cleaned(clean: Callable[[str], str], text: str) -> str | None:
    """What a text becomes; None when it is refused, as it should be."""
    try:
        return clean(text)
    except Problem as problem:
        refused = refusal(problem)
    assert refused in [(422, "invalid", field) for field in ("name", "email")]
    return None


def refusal(problem: Problem) -> tuple[int, str, object]:
    return problem.status, problem.type, problem.members["field"]


@given(texts)
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    clean = cleaned(clean_name, name)
    if clean is None:
        return
    assert clean_name(clean) == clean == unicodedata.normalize("NFC", clean)
    assert clean
    assert clean == " ".join(clean.split())


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Jose\u0301", "José"),
        ("李小龍", "李小龍"),
        ("O'Neill-Śmith\n", "O'Neill-Śmith"),
    ],
)
def test_names(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize("name", ["", " \t\n", "a\x00b", "a\x1bb", "\ufb2c" * 100])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(Problem) as caught:
        clean_name(name, field="who")
    assert refusal(caught.value) == (422, "invalid", "who")


@given(locals_, domains)
def test_a_clean_address_stays_as_it_is(local: str, domain: str) -> None:
    clean = clean_email(f"{local}@{domain}")
    assert clean_email(clean) == clean
    assert clean == f"{local}@{domain.lower()}"


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "ada@localhost",
        "ada@example.test",
        "ada lovelace@example.com",
        "Ada <ada@example.com>",
        "adä@example.com",
        "ada@example.com\n",
        "ada@[127.0.0.1]",
        "a" * 65 + "@example.com",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(email: str) -> None:
    with pytest.raises(Problem) as caught:
        clean_email(email)
    assert refusal(caught.value) == (422, "invalid", "email")
    assert email not in caught.value.detail


@given(texts)
def test_any_text_is_an_address_or_refused(email: str) -> None:
    clean = cleaned(clean_email, email)
    assert clean is None or "@" in clean


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" \t\n", "is blank."),
        ("a\tb", "has control characters in it."),
        ("a" * 6, "is longer than 5 letters."),
        ("\ufb2c" * 2, "is longer than 5 letters."),
    ],
)
def test_texts_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(Problem) as caught:
        clean_text(text, field="title", longest=5, controls="\n")
    assert caught.value.detail == f"title {why}"
    assert refusal(caught.value) == (422, "invalid", "title")


def test_texts() -> None:
    assert clean_text(" a\nb ", field="title", longest=5, controls="\n") == "a\nb"
    assert clean_name("a" * LONGEST_NAME) == "a" * LONGEST_NAME
