"""Requests are strict all the way down; answers are not."""

# ruff: noqa: RUF012 - msgspec copies the empty default of a field

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from clients.contract import AnswerDecoder, BadRequest, Call, Message, RequestDecoder


class Street(Message):
    name: str
    number: int | None = None


class Person(Message):
    name: Annotated[str, Meta(min_length=1)]
    streets: Annotated[list[Street], Meta(max_length=3)] = []
    friend: Person | None = None
    by_role: dict[str, Street] = {}
    pair: tuple[Street, int] | None = None


class Add(Message):
    owner: str
    people: list[Person]
    first: Person | None = None


ADD = Call(Add, Add, post="/v1/{owner}")


def decoded(body: bytes) -> Add:
    request: Add = RequestDecoder(ADD).decode(["ada"], b"", body)
    return request


GOOD = b"""{"people": [{"name": "Bo", "streets": [{"name": "A"}], "friend": {"name": "Cy"},
    "by_role": {"x": {"name": "B", "number": 2}}, "pair": [{"name": "C"}, 1]}], "first": null}"""


def test_what_is_known_is_taken_as_what_it_was_declared() -> None:
    (person,) = decoded(GOOD).people
    assert type(person) is Person
    assert person.streets == [Street(name="A")]
    assert (person.name, person.streets[0].name, person.by_role["x"].number) == ("Bo", "A", 2)
    assert decoded(b'{"people": [{"name": "Bo"}]}').people[0].streets == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"people": [], "frist": null}', "frist"),
        (b'{"people": [{"name": "Bo", "nmae": 1}]}', "nmae"),
        (b'{"people": [{"name": "Bo", "streets": [{"name": "A", "no": 1}]}]}', "no"),
        (b'{"people": [{"name": "Bo", "by_role": {"x": {"name": "A", "no": 1}}}]}', "no"),
        (b'{"people": [{"name": "Bo", "pair": [{"name": "A", "no": 1}, 1]}]}', "no"),
        (b'{"people": [], "first": {"name": "Bo", "nmae": 1}}', "nmae"),
    ],
)
def test_what_is_not_known_is_refused_wherever_it_stands(body: bytes, where: str) -> None:
    with pytest.raises(BadRequest, match=f"unknown field `{where}`") as refused:
        decoded(body)
    assert refused.value.status == 422


def test_an_answer_may_say_more_than_its_reader_knows() -> None:
    answer = AnswerDecoder(ADD).decode(
        b'{"owner": "a", "people": [{"name": "Bo", "new": 1, "streets": [{"name": "A", "x": 2}]}]}'
    )
    assert answer.people[0].streets[0].name == "A"


def test_what_was_decoded_encodes_as_it_was_sent() -> None:
    assert msgspec.json.decode(msgspec.json.encode(decoded(GOOD)))["people"][0]["streets"] == [
        {"name": "A", "number": None}
    ]
