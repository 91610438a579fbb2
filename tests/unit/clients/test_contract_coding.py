"""The client's encoder and the server's decoder: what goes in comes out, or is refused."""

# ruff: noqa: RUF012 - msgspec copies a default for each message

from __future__ import annotations

import enum
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from clients.contract import (
    AnswerDecoder,
    BadRequest,
    Call,
    Message,
    RequestDecoder,
    RequestEncoder,
)
from services.kit.server.router import unquote_values


class Colour(enum.Enum):
    RED = "red"
    BLUE = "bl/ue"


class Inner(Message):
    name: str
    number: int = 0


class Flat(Message):
    """Every kind of value that a path or a query can say."""

    id: str
    number: int
    flag: bool = False
    ratio: float = 0.0
    day: date = date(2026, 1, 1)
    moment: datetime | None = None
    colour: Colour = Colour.RED
    key: UUID | None = None
    price: Decimal = Decimal(0)
    text: str | None = None
    kind: Literal["a", "b"] = "a"
    tags: list[str] = []
    numbers: list[int] = []


class Deep(Message):
    """And what only a body can."""

    id: int
    inner: Inner
    inners: list[Inner] = []
    names: dict[str, int] = {}
    tags: list[str] = msgspec.field(default_factory=lambda: ["a"])
    text: str | None = "fallback"
    raw: bytes = b""


class Told(Message):
    text: str


def texts(min_size: int = 0) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=min_size)


flats = st.builds(
    Flat,
    id=texts(1).filter(lambda text: text not in (".", "..")),
    number=st.integers(-(2**63), 2**63 - 1),
    flag=st.booleans(),
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    day=st.dates(),
    moment=st.none() | st.datetimes(timezones=st.just(UTC)),
    colour=st.sampled_from(Colour),
    key=st.none() | st.uuids(),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    text=st.none() | texts(),
    kind=st.sampled_from(["a", "b"]),
    tags=st.lists(texts(), max_size=5),
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
)
inners = st.builds(Inner, name=texts(), number=st.integers(-(2**63), 2**63 - 1))
deeps = st.builds(
    Deep,
    id=st.integers(-(2**63), 2**63 - 1),
    inner=inners,
    inners=st.lists(inners, max_size=3),
    names=st.dictionaries(texts(), st.integers(0, 9), max_size=3),
    tags=st.lists(texts(), max_size=3),
    text=st.none() | texts(),
    raw=st.binary(),
)
CALLS: dict[str, Call[Any, Any, Any]] = {
    "get": Call(Flat, Told, get="/v1/{id}/{number}"),
    "delete": Call(Flat, Told, delete="/v1/{id}"),
    "dated": Call(Flat, Told, get="/v1/{id}/{day}/{flag}/{ratio}/{colour}/{price}"),
    "put": Call(Flat, Told, put="/v1/{id}/{day}/{number}/{flag}"),
    "post": Call(Flat, Told, post="/v1"),
    "deep": Call(Deep, Told, post="/v1/{id}"),
}


def over(call: Call[Any, Any, Any], message: Message) -> Message:
    """A message, encoded as a client does it and decoded as a server does it."""
    target, body = RequestEncoder(call).encode(message)
    assert target.isascii()
    assert not set(target) & set(b" #\r\n\x00")
    path, _, query = target.partition(b"?")
    parts = zip(call.path.segments, path.split(b"/")[1:], strict=True)
    values = unquote_values([part.decode() for segment, part in parts if segment is None])
    received: Message = RequestDecoder(call).decode(values, query, body)
    return received


@given(message=flats, name=st.sampled_from(["get", "delete", "dated", "put", "post"]))
def test_a_flat_message_arrives_as_it_was_sent(message: Flat, name: str) -> None:
    assert over(CALLS[name], message) == message


@given(message=deeps)
def test_a_deep_message_arrives_as_it_was_sent(message: Deep) -> None:
    assert over(CALLS["deep"], message) == message


@given(
    values=st.lists(texts(1), min_size=2, max_size=2),
    query=st.binary(max_size=60) | st.text("numberidflagtags=&%[]0123456789+ ", max_size=60).map(str.encode),
    body=st.binary(max_size=60) | st.text('{}[]":,numberidinnertextnull0123456789. ', max_size=80).map(str.encode),
    name=st.sampled_from(sorted(CALLS)),
)  # fmt: skip
def test_whatever_comes_is_decoded_or_refused(
    values: list[str], query: bytes, body: bytes, name: str
) -> None:
    call = CALLS[name]
    values = (values * 3)[: len(call.path.fields)]
    try:
        received = RequestDecoder(call).decode(values, query, body)
    except BadRequest as error:
        assert error.status in (400, 422)
        assert error.detail
    else:
        assert isinstance(received, call.request)


def refused(name: str, values: list[str], query: bytes = b"", body: bytes = b"") -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        RequestDecoder(CALLS[name]).decode(values, query, body)
    return caught.value


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        (b"nosuch=1", 422, "Unknown query field 'nosuch'; known are: colour, day,"),
        (b"number=1", 422, "Unknown query field 'number'"),
        (b"kind=a&kind=b", 422, "Query field 'kind' is given twice."),
        (b"kind=c", 422, "kind: Invalid enum value 'c'"),
        (b"flag=maybe", 422, "flag: Expected `bool`"),
        (b"numbers=1&numbers=x", 422, "Expected `int`"),
        (b"text=%FF", 400, "not valid percent-encoded UTF-8"),
        (b"text=\xff", 400, "not valid percent-encoded UTF-8"),
        (b"&".join([b"tags=a"] * 101), 400, "query"),
    ],
)
def test_a_bad_query_is_told(query: bytes, status: int, detail: str) -> None:
    error = refused("get", ["a", "1"], query)
    assert error.status == status
    assert detail in error.detail


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{", 400, "not valid JSON"),
        (b"\xff", 400, "not valid JSON"),
        (b'{"inner": {"name": "\xff"}}', 400, "not valid JSON"),
        (b"[" * 5000, 422, "Expected `object`"),
        (b"", 422, "`inner`"),
        (b"[]", 422, "Expected `object`"),
        (b'{"inner": {"name": "a"}, "nosuch": 1}', 422, "nosuch"),
        (b'{"inner": {"name": "a"}, "id": 1}', 422, "`id`"),
        (b'{"inner": {"name": 7}}', 422, "inner.name: Expected `str`, got `int`"),
        (b'{"inner": {"name": "a", "number": "7"}}', 422, "inner.number: Expected `int`"),
    ],
)
def test_a_bad_body_is_told(body: bytes, status: int, detail: str) -> None:
    error = refused("deep", ["1"], body=body)
    assert error.status == status
    assert detail in error.detail


@pytest.mark.parametrize("value", ["x", "1.5", "", " 1", "1_0", "9" * 5000])
def test_a_bad_path_value_is_told(value: str) -> None:
    assert refused("deep", [value], body=b'{"inner": {"name": "a"}}').status == 422
    assert refused("get", ["a", value]).detail.startswith("number: ")


class Ruled(Message):
    id: str
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError("first must not be above last")


@pytest.mark.parametrize("how", [{"get": "/x/{id}"}, {"post": "/x/{id}"}, {"post": "/x"}])
def test_a_rule_of_the_message_itself_is_a_refusal_and_no_fault(how: dict[str, Any]) -> None:
    call: Call[Any, Ruled, Told] = Call(Ruled, Told, **how)
    values = ["a"] if call.path.fields else []
    body = {"id": "a", "first": 2, "last": 1}
    sent = {name: body[name] for name in call.body_fields}
    query = b"first=2&last=1" if call.query_fields else b""
    with pytest.raises(BadRequest, match="first must not be above last") as caught:
        RequestDecoder(call).decode(values, query, msgspec.json.encode(sent) if sent else b"")
    assert caught.value.status == 422


@pytest.mark.parametrize("text", ["\ud800", "a\udfff"])
def test_a_text_that_is_no_unicode_is_refused_before_it_is_sent(text: str) -> None:
    for name in ("get", "post"):
        with pytest.raises(ValueError, match=r".+"):
            RequestEncoder(CALLS[name]).encode(Flat(id=text, number=1))
        with pytest.raises(ValueError, match=r".+"):
            RequestEncoder(CALLS[name]).encode(Flat(id="a", number=1, text=text))


def test_the_default_of_a_list_is_not_shared() -> None:
    decoder = RequestDecoder(CALLS["deep"])
    one, two = (decoder.decode(["1"], b"", b'{"inner": {"name": "a"}}') for _ in range(2))
    one.tags.append("mine")
    assert two.tags == ["a"]


def test_an_answer_may_have_fields_that_the_caller_does_not_know() -> None:
    decode = AnswerDecoder(CALLS["get"]).decode
    assert decode(b'{"text": "a", "newer": [1]}') == Told(text="a")
    for bad in (b"", b"{}", b'{"text": 1}', b"\xff"):
        with pytest.raises(msgspec.DecodeError):
            decode(bad)


class Pattern(Message):
    id: Annotated[str, Meta(pattern=r"^u_[a-z]{3}$(?!\n)")]


def test_a_trailing_newline_does_not_slip_through_a_pattern() -> None:
    decoder = RequestDecoder(Call(Pattern, Told, get="/x/{id}"))
    assert decoder.decode(["u_abc"], b"", b"") == Pattern(id="u_abc")
    with pytest.raises(BadRequest, match="id: Expected `str` matching regex"):
        decoder.decode(["u_abc\n"], b"", b"")


def test_moments_keep_their_instant() -> None:
    from datetime import timezone

    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    received = over(CALLS["get"], Flat(id="a", number=1, moment=moment))
    assert isinstance(received, Flat)
    assert received.moment == moment


@pytest.mark.parametrize("ratio", [math.inf, -math.inf, math.nan])
def test_a_number_that_json_has_not_is_never_taken_for_another(ratio: float) -> None:
    for name in ("get", "post"):
        try:
            received = over(CALLS[name], Flat(id="a", number=1, ratio=ratio))
        except (BadRequest, ValueError):
            continue
        assert isinstance(received, Flat)
        assert received.ratio == ratio or (math.isnan(received.ratio) and math.isnan(ratio))


class Described(Message):
    tags: Annotated[list[str], Meta(description="Some.", max_length=3)] = []
    sizes: set[int] = set()
    text: Annotated[str, Meta(description="One.")] | None = None


@given(st.builds(Described, tags=st.lists(texts(), max_size=3), sizes=st.sets(st.integers(0, 9))))
def test_a_described_list_is_a_list_too(message: Described) -> None:
    assert over(Call(Described, Told, get="/x"), message) == message
