"""How a contract declares the call that a new replica must answer."""

from __future__ import annotations

from typing import Any

import pytest

from clients.contract import Call, Contract, Message, Smoke


class Greet(Message):
    name: str


class Greeting(Message):
    text: str


class Other(Message):
    name: str


def test_a_call_keeps_its_smoke_request() -> None:
    class Hello(Contract, name="hello"):
        greet = Call(Greet, Greeting, get="/v1/{name}", smoke=Smoke(Greet(name="Ada")))
        plain = Call(Greet, Greeting, get="/v2/{name}")

    assert Hello.greet.smoke is not None
    assert (Hello.greet.smoke.request, Hello.greet.smoke.status) == (Greet(name="Ada"), None)
    assert Hello.plain.smoke is None


def test_another_calls_request_is_refused() -> None:
    other: Any = Smoke(Other(name="Ada"))
    with pytest.raises(ValueError, match="smoke asks with Other, and the call takes Greet"):
        Call(Greet, Greeting, get="/v1/{name}", smoke=other)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"status": 99}, "status is 99"),
        ({"type": "not-found"}, "an answer of success has none"),
        ({"status": 200, "type": "not-found"}, "an answer of 200 has none"),
    ],
)
def test_what_no_replica_can_answer_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Smoke(Greet(name="Ada"), **options)
