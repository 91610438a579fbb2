"""From texts on a command line to a request, and what a wrong one is told."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, inspect

from clients.contract import Call, Contract, Message
from clients.greetings import Greetings
from clients.products import Products
from clients.users import Users
from services.ops.arguments import read_message, read_value
from services.ops.expectation import expectation
from services.ops.faults import Misused

USER = "u_mzxw6ytboi2dsmjq"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Paint(Message):
    colour: Colour = Colour.RED
    finish: Literal["matt", "gloss"] = "matt"
    litres: float = 1.0
    coats: Annotated[int, Meta(ge=1)] = 1
    urgent: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    sizes: dict[str, int] = msgspec.field(default_factory=dict)
    code: Annotated[str, Meta(pattern="^[a-z]+$")] = "a"


class Painted(Message):
    done: bool


class Painting(Contract, name="painting"):
    paint = Call(Paint, Painted, post="/v1/paint")


def test_texts_become_the_types_of_the_contract() -> None:
    message: Any = read_message(
        Users.add_contact,
        [f"user_id={USER}", "name=Bo = Bo", "email=bo@example.com", "birthday=1990-02-28"],
    )
    assert (message.user_id, message.name) == (USER, "Bo = Bo")
    assert message.birthday == date(1990, 2, 28)
    assert message.phone is None


def test_lists_and_objects_are_json() -> None:
    message: Any = read_message(
        Greetings.send,
        [
            f"sender={USER}",
            'recipients=[{"name": "Bo", "email": "bo@example.com"}]',
            "sku=BDAY-00007",
            "message=Hi",
            "site=greetwell",
            "deliver_at=2026-12-24T08:00:00Z",
        ],
    )
    assert message.recipients[0].email == "bo@example.com"
    assert message.deliver_at == datetime(2026, 12, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "", ""),
        (str, "007", "007"),
        (str | None, "null", "null"),
        (int | None, "null", None),
        (int, "-3", -3),
        (bool, "true", True),
        (float, "2.5", 2.5),
        (Colour, "blue", "blue"),
        (list[str], '["a", "b"]', ["a", "b"]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (list[int] | str, "[1]", [1]),
        (list[int] | str, "one", "one"),
    ],
)
def test_one_value(kind: Any, text: str, value: object) -> None:
    assert read_value(kind, text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit=ten", "limit cannot be 'ten'; it must be a whole number from 1 to 100"),
        ("limit=0", "limit cannot be '0'"),
        ("limit=1.5", "limit cannot be '1.5'"),
        ("limitt=1", "has no field 'limitt'; did you mean 'limit'?"),
        ("limit", "'limit' is not key=value"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_must_be(text: str, said: str) -> None:
    with pytest.raises(Misused, match=r"products\.search") as caught:
        read_message(Products.search, [text])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour=green", "one of red, blue"),
        ("finish=wet", "one of gloss, matt"),
        ("litres=nan", "JSON has no such number; it must be a number"),
        ("litres=much", "it must be a number"),
        ("coats=0", "a whole number at least 1"),
        ("urgent=perhaps", "true or false"),
        ("tags=a,b", "that is no valid JSON; it must be a JSON list, each item a text"),
        ("tags=[1]", "Expected `str`"),
        ("sizes=[]", "it must be a JSON object"),
        ("code=A", "a text that matches ^[a-z]+$"),
        ("code=\udcff", "that is no valid UTF-8"),
        (f"code={'A' * 100}", "AAA...'"),
    ],
)
def test_each_kind_of_value_says_what_it_is(text: str, said: str) -> None:
    with pytest.raises(Misused) as caught:
        read_message(Painting.paint, [text])
    assert said in str(caught.value)


def test_a_malformed_id_costs_no_call() -> None:
    with pytest.raises(Misused, match=r"products\.fetch: sku cannot be 'nosuch'.*BDAY-00007"):
        read_message(Products.fetch, ["sku=nosuch"])


def test_all_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(Misused, match=r"still needs name: a text .*; site: a text, such as gr"):
        read_message(Users.create, ["email=a@b.org"])


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(Misused, match="limit is given twice"):
        read_message(Products.search, ["limit=1", "limit=2"])


def test_a_value_that_cannot_stand_in_a_path_is_refused_before_the_call() -> None:
    class Named(Message):
        name: str

    class Things(Contract, name="things"):
        fetch = Call(Named, Painted, get="/v1/things/{name}")

    with pytest.raises(Misused, match=r"cannot stand in /v1/things/"):
        read_message(Things.fetch, ["name=.."])


def test_a_description_stands_in_brackets() -> None:
    kind = inspect.type_info(Annotated[int, Meta(lt=5, description="How many.")] | None)
    assert expectation(kind) == "a whole number below 5 (How many.)"
