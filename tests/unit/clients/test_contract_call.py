# ruff: noqa: RUF012 - msgspec copies a default for each message

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clients.contract import Call, Contract, Message, PathTemplate


class Ask(Message):
    id: str
    more: int = 1
    tags: list[str] = []


class Told(Message):
    text: str


def declare(**how: Any) -> Call[Any, Any, Any]:
    return Call(Ask, Told, **how)


def test_fields_are_shared_out_between_path_query_and_body() -> None:
    get = declare(get="/v1/x/{id}")
    assert (get.path.fields, get.query_fields, get.body_fields) == (("id",), ("more", "tags"), ())
    post = declare(post="/v1/x/{id}")
    assert (post.path.fields, post.query_fields, post.body_fields) == (
        ("id",),
        (),
        ("more", "tags"),
    )
    assert declare(delete="/v1/x").query_fields == ("id", "more", "tags")
    for method in ("put", "patch"):
        assert declare(**{method: "/v1/x"}).has_body


@pytest.mark.parametrize(
    ("how", "idempotent", "retryable"),
    [
        ({"get": "/x"}, True, True),
        ({"get": "/x", "idempotent": False}, False, False),
        ({"post": "/x"}, False, False),
        ({"post": "/x", "keyed": True}, False, True),
        ({"post": "/x", "idempotent": True}, True, True),
        ({"put": "/x"}, False, False),
        ({"delete": "/x", "idempotent": True}, True, True),
    ],
)
def test_what_may_be_tried_again(how: dict[str, Any], idempotent: bool, retryable: bool) -> None:
    call = declare(**how)
    assert (call.idempotent, call.retryable) == (idempotent, retryable)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "exactly one of get="),
        ({"get": "/x", "post": "/x"}, "exactly one of get="),
        ({"get": "/x/{nosuch}"}, "names nosuch, which Ask has not"),
        ({"get": "/x", "keyed": True}, "takes no Idempotency-Key"),
        ({"get": "/x", "deadline_s": 0}, "deadline_s is 0"),
        ({"get": "/x", "deadline_s": float("nan")}, "deadline_s is nan"),
        ({"get": "/x", "deadline_s": float("inf")}, "deadline_s is inf"),
        ({"get": "/x", "priority": 4}, "priority is 4"),
        ({"get": "/x", "priority": -1}, "priority is -1"),
        ({"get": "/x", "status": 199}, "status is 199"),
        ({"get": "/x", "status": 300}, "status is 300"),
        ({"post": "/x", "body_limit": -1}, "body_limit is -1"),
        ({"get": "/x", "hedge": 0.4}, "hedge is 0.4"),
        ({"get": "/x", "hedge": 1.0}, "hedge is 1.0"),
        ({"get": "/x", "hedge": -0.5}, "hedge is -0.5"),
        ({"get": "/x", "hedge": float("nan")}, "hedge is nan"),
        ({"post": "/x", "hedge": 0.95}, "only an idempotent call can be hedged"),
        ({"post": "/x", "hedge": 0.95, "keyed": True}, "only an idempotent call can be hedged"),
        ({"get": "/x", "affinity": "nosuch"}, "affinity names nosuch, which Ask has not"),
        ({"get": "/x", "affinity": "tags"}, "tags cannot be an affinity"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(
    how: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        declare(**how)


def test_hedging_and_affinity_are_off_unless_they_are_declared() -> None:
    plain = declare(get="/x")
    assert (plain.hedge, plain.affinity) == (0.0, "")
    how = declare(get="/x", hedge=0.99, affinity="id")
    assert (how.hedge, how.affinity) == (0.99, "id")
    assert declare(put="/x", idempotent=True, hedge=0.5, affinity="more").affinity == "more"


def test_what_can_be_none_is_no_affinity() -> None:
    with pytest.raises(ValueError, match="text cannot be an affinity"):
        Call(Fallback, Told, post="/x", affinity="text")


class Inner(Message):
    x: int


class Optional(Message):
    id: str | None


class Nested(Message):
    id: str
    inner: Inner


class Full(Message):
    id: str
    tags: list[str] = msgspec.field(default_factory=lambda: ["a"])


class Needed(Message):
    id: str
    tags: list[str]


class Fallback(Message):
    id: str
    text: str | None = "fallback"


@pytest.mark.parametrize(
    ("request_type", "how", "message"),
    [
        (Optional, {"get": "/x/{id}"}, "id .* path"),
        (Ask, {"get": "/x/{tags}"}, "tags .* path"),
        (Nested, {"get": "/x/{inner}"}, "inner .* path"),
        (Nested, {"get": "/x/{id}"}, "inner .* query"),
        (Full, {"get": "/x/{id}"}, "tags .* empty"),
        (Needed, {"get": "/x/{id}"}, "tags .* empty"),
        (Fallback, {"get": "/x/{id}"}, "text .* None"),
    ],
)
def test_what_a_path_or_query_cannot_say_is_refused(
    request_type: type[Message], how: dict[str, Any], message: str
) -> None:
    # Each would arrive as another value than was sent, or not at all.
    with pytest.raises(ValueError, match=message):
        Call(request_type, Told, **how)
    how = {"post": "/x"}
    Call(request_type, Told, **how)


@pytest.mark.parametrize(
    "text",
    ["", "x", "x/y", "/", "/x/", "//x", "/x//y", "/x y", "/x?y", "/{id}x", "/{}", "/{Id}", "/{id", "/a%20b"],
)  # fmt: skip
def test_a_path_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        PathTemplate(text)


def test_a_field_stands_in_a_path_once() -> None:
    with pytest.raises(ValueError, match="names a field twice"):
        PathTemplate("/x/{id}/y/{id}")


def test_a_path_is_filled_in_and_quoted() -> None:
    path = PathTemplate("/v1/users/{user_id}/contacts/{id}")
    assert path.fields == ("user_id", "id")
    assert path.segments == ("v1", "users", None, "contacts", None)
    assert path.fill(["u_1", "c~._-9"]) == "/v1/users/u_1/contacts/c~._-9"
    assert path.fill(["a/b", "ü?#%& +"]) == "/v1/users/a%2Fb/contacts/%C3%BC%3F%23%25%26%20%2B"
    assert path.fill(["...", "..a"]) == "/v1/users/.../contacts/..a"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_lead_elsewhere_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"id is .* cannot stand in /x/{id}/y"):
        PathTemplate("/x/{id}/y").fill([value])


def test_a_contract_knows_its_calls() -> None:
    class Talk(Contract, name="small-talk2"):
        """Talk."""

        ask = Call(Ask, Told, get="/v1/x/{id}")
        tell = Call(Ask, Told, post="/v1/x/{id}")

    assert Talk.service == "small-talk2"
    assert list(Talk.calls) == ["ask", "tell"]
    assert Talk.ask is Talk.calls["ask"]
    assert (Talk.ask.name, Talk.ask.service) == ("ask", "small-talk2")
    assert repr(Talk.ask) == "<Call small-talk2.ask>"


@pytest.mark.parametrize(
    "name", ["", "Users", "a b", "a.b", "a/b", "ü", "٣", "-", "-a", "a-", "a\n"]
)
def test_a_service_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="service name"):
        type("Bad", (Contract,), {}, name=name)


def test_two_calls_with_one_route_are_refused() -> None:
    with pytest.raises(ValueError, match=r"twice.b and twice.a have the same method and path"):
        type(
            "Twice",
            (Contract,),
            {"a": declare(get="/v1/{id}"), "b": Call(Told, Told, get="/v1/{text}")},
            name="twice",
        )


@pytest.mark.parametrize("key", ["service", "calls"])
def test_a_name_that_contracts_use_themselves_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be named '{key}'"):
        type("Bad", (Contract,), {key: declare(get="/x")}, name="bad")


def test_messages_are_frozen_and_keyword_only() -> None:
    message = Ask(id="a")
    with pytest.raises(AttributeError):
        message.id = "b"
    with pytest.raises(TypeError):
        Ask("a")  # type: ignore[call-arg]
