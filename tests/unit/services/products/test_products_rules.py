from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clients.products import PublishProduct
from services.kit import Problem
from services.products import rules

CARD = PublishProduct(
    sku="BDAY-00017",
    title="Sunflowers",
    description="A field of them.",
    occasion="birthday",
    category="card",
    sites=["greetwell"],
    price_cents=250,
    currency="USD",
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts)
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = rules.fold(text)
    assert rules.fold(folded) == folded


@given(texts, texts)
def test_a_title_is_found_by_each_of_its_words(title: str, description: str) -> None:
    whole = rules.search_text(title, description, "birthday", "card")
    assert all(word in whole for word in rules.words(title))


@pytest.mark.parametrize(
    ("text", "folded"),
    [("CUMPLEAÑOS", "cumpleanos"), ("Ærø", "ærø"), ("Straße", "strasse"), ("Jose\u0301", "jose")],
)
def test_fold(text: str, folded: str) -> None:
    assert rules.fold(text) == folded


def test_words() -> None:
    assert rules.words("  Sun  FLOWERS sun ") == ["sun", "flowers"]


def test_cleaning() -> None:
    dirty = replace(CARD, title="  Jose\u0301 ", sites=["fiesta", "cardhouse", "fiesta"])
    clean = rules.clean(dirty)
    assert (clean.title, clean.sites) == ("José", ["cardhouse", "fiesta"])
    assert rules.clean(clean) == clean


@pytest.mark.parametrize("field", ["title", "description"])
@pytest.mark.parametrize("text", [" ", "a\x00b", "\ufb2c" * 1500])
def test_texts_that_are_refused(field: str, text: str) -> None:
    with pytest.raises(Problem) as caught:
        rules.clean(replace(CARD, **{field: text}))
    assert (caught.value.status, caught.value.members["field"]) == (422, field)
