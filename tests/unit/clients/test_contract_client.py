"""The typed function behind ``users.fetch(id=...)``."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from clients.contract import Call, CallOptions, Contract, Message
from clients.users import FetchUser, Users


class Ask(Message):
    id: str


class Told(Message):
    text: str


class Talk(Contract, name="talk"):
    """Talk."""

    ask = Call(Ask, Told, get="/v1/{id}")
    tell = Call(Ask, Told, post="/v1/{id}", keyed=True)


class Recorder:
    """A carrier that answers everything alike."""

    def __init__(self) -> None:
        self.carried: list[tuple[Call[Any, Any, Any], Message, CallOptions | None]] = []

    def carry(
        self, call: Call[Any, Any, Any], message: Message, options: CallOptions | None
    ) -> Deferred[Any]:
        self.carried.append((call, message, options))
        return succeed(Told(text="yes"))


def test_a_call_carries_its_message() -> None:
    recorder = Recorder()
    talk = Talk(recorder)
    assert talk.ask(id="x").result == Told(text="yes")
    assert recorder.carried == [(Talk.ask, Ask(id="x"), None)]
    assert talk.ask.call is Talk.ask


@pytest.mark.parametrize("how", [{}, {"id": "a", "more": 1}, {"nosuch": "a"}])
def test_a_missing_or_unknown_field_is_refused_at_once(how: dict[str, str]) -> None:
    with pytest.raises(TypeError):
        Talk(Recorder()).ask(**how)


def test_options_are_for_one_call_and_add_up() -> None:
    recorder = Recorder()
    talk = Talk(recorder)
    hasty = talk.ask.options(deadline_s=0.1, site="greetwell")
    hasty(id="a")
    hasty.options(priority=3, deadline_s=0.2)(id="b")
    talk.ask(id="c")
    seen = [
        options and (options.deadline_s, options.idempotency_key, options.priority, options.site)
        for _, _, options in recorder.carried
    ]
    assert seen == [(0.1, None, None, "greetwell"), (0.2, None, 3, "greetwell"), None]


@pytest.mark.parametrize(
    "how",
    [
        {"deadline_s": 0},
        {"deadline_s": -1.0},
        {"deadline_s": float("nan")},
        {"deadline_s": float("inf")},
        {"priority": 4},
        {"priority": -1},
        {"hedge": 0.3},
        {"hedge": 1.0},
    ],
)
def test_options_out_of_range_are_refused(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(how))} is "):
        Talk(Recorder()).ask.options(**how)


def test_a_hedge_is_an_option_of_idempotent_calls_alone() -> None:
    recorder = Recorder()
    talk = Talk(recorder)
    hedged = talk.ask.options(hedge=0.95)
    hedged.options(priority=3)(id="a")
    hedged.options(hedge=0.0)(id="b")
    assert [options and options.hedge for _, _, options in recorder.carried] == [0.95, 0.0]
    talk.tell.options(hedge=0.0)
    with pytest.raises(ValueError, match=r"talk\.tell.* is not idempotent"):
        talk.tell.options(hedge=0.95)


def test_clients_of_one_contract_do_not_share_their_carrier() -> None:
    one, two = Recorder(), Recorder()
    first, second = Users(one), Users(two)
    first.fetch(id="u_a")
    second.fetch(id="u_b")
    assert [message for _, message, _ in one.carried] == [FetchUser(id="u_a")]
    assert [message for _, message, _ in two.carried] == [FetchUser(id="u_b")]
