from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from clients.greetings import (
    FindPopular,
    Greeting,
    GreetingPage,
    ListSent,
    PopularGreeting,
    Recipient,
    SendGreeting,
    Sent,
)
from services.greetings import card_rows, rows
from services.greetings.tables import greetings
from services.kit import Problem
from services.kit.storage import reading, request_key, write_cursor, writing

MakeEngine = Callable[[str], sa.Engine]
ADA = "u_aaaaaaaaaaaaaaaa"
BO = "u_bbbbbbbbbbbbbbbb"
HOUR = timedelta(hours=1)
GREETING = SendGreeting(
    sender=ADA,
    recipients=[
        Recipient(name="Zoe", email="zoe@example.com"),
        Recipient(name="Al", email="al@example.com"),
    ],
    sku="BDAY-00017",
    message="Many happy returns!",
    site="greetwell",
)


@pytest.fixture
def engine(open_engine: MakeEngine) -> sa.Engine:
    return open_engine("greetings")


def send(engine: sa.Engine, now: datetime, *, key: str | None = None, **changes: Any) -> Sent:
    request = replace(GREETING, **changes)
    with writing(engine) as connection:
        return rows.send(
            connection, request, "Ada", request_key("greetings.send", key, request), now
        )


def fetch(engine: sa.Engine, greeting_id: str, now: datetime) -> Greeting:
    with reading(engine) as connection:
        return rows.fetch(connection, greeting_id, now)


def cancel(engine: sa.Engine, greeting_id: str, now: datetime, key: str | None = None) -> Greeting:
    with writing(engine) as connection:
        return rows.cancel(
            connection,
            greeting_id,
            request_key("greetings.cancel", key, FindPopular()),
            now,
        )


def add_views(engine: sa.Engine, **views: int) -> None:
    with writing(engine) as connection:
        card_rows.add_views(connection, views)


def popular(engine: sa.Engine, **wanted: Any) -> list[PopularGreeting]:
    with reading(engine) as connection:
        return card_rows.popular(connection, FindPopular(**wanted)).greetings


def page(engine: sa.Engine, now: datetime, **wanted: Any) -> GreetingPage:
    with reading(engine) as connection:
        return rows.page(connection, ListSent(**{"sender": ADA, **wanted}), now)


def test_a_sent_greeting_is_fetched_and_its_card_found(engine: sa.Engine, now: datetime) -> None:
    sent = send(engine, now)
    greeting = sent.greeting
    assert fetch(engine, greeting.id, now) == greeting
    assert (greeting.state, greeting.views, greeting.created_at) == ("sent", 0, now)
    assert greeting.recipients == GREETING.recipients
    with reading(engine) as connection:
        card = card_rows.find_card(connection, sent.token)
        assert card is not None
        assert (card.id, card.sender_name, card.message) == (greeting.id, "Ada", greeting.message)
        assert card_rows.find_card(connection, "t_" + "a" * 26) is None


def test_a_repeated_greeting_is_the_same(engine: sa.Engine, now: datetime) -> None:
    first = send(engine, now, key="k")
    assert send(engine, now + HOUR, key="k") == first
    assert send(engine, now, key="l").token != first.token


def test_repetitions_that_race(open_engine: MakeEngine, now: datetime) -> None:
    replicas = [open_engine("greetings"), open_engine("greetings")]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: send(replicas[n % 2], now, key="k"), range(12)))
    assert answers == [answers[0]] * 12
    with reading(replicas[0]) as connection:
        assert len(connection.execute(sa.select(greetings.c.id)).all()) == 1


def test_a_greeting_that_is_not(engine: sa.Engine, now: datetime) -> None:
    for attempt in (fetch, cancel):
        with pytest.raises(Problem) as caught:
            attempt(engine, "g_aaaaaaaaaaaaaaaa", now)
        assert (caught.value.status, caught.value.type) == (404, "not-found")


def test_a_scheduled_greeting_becomes_sent(engine: sa.Engine, now: datetime) -> None:
    greeting = send(engine, now, deliver_at=now + HOUR).greeting
    assert greeting.state == "scheduled"
    assert fetch(engine, greeting.id, now + HOUR).state == "sent"


def test_cancelling(engine: sa.Engine, now: datetime) -> None:
    greeting = send(engine, now, deliver_at=now + HOUR).greeting
    cancelled = cancel(engine, greeting.id, now, "k")
    assert cancelled == replace(greeting, state="cancelled")
    assert fetch(engine, greeting.id, now + 2 * HOUR).state == "cancelled"
    assert cancel(engine, greeting.id, now, "k") == cancelled
    with pytest.raises(Problem) as caught:
        cancel(engine, greeting.id, now, "l")
    assert (caught.value.status, caught.value.type) == (409, "not-scheduled")
    assert "cancelled" in caught.value.detail


@pytest.mark.parametrize("after", [timedelta(0), HOUR])
def test_what_is_due_cannot_be_cancelled(
    engine: sa.Engine, now: datetime, after: timedelta
) -> None:
    greeting = send(engine, now, deliver_at=now + HOUR).greeting
    with pytest.raises(Problem) as caught:
        cancel(engine, greeting.id, now + HOUR + after)
    assert caught.value.status == 409
    at_once = send(engine, now).greeting
    with pytest.raises(Problem):
        cancel(engine, at_once.id, now)


def test_pages_have_every_greeting_once_the_newest_first(engine: sa.Engine, now: datetime) -> None:
    # Two of a moment, so that the id has to decide.
    times = [now, now, now + HOUR, now - HOUR, now + 3 * HOUR, now + 2 * HOUR, now]
    for time in times:
        send(engine, time)
    send(engine, now, sender=BO)
    found: list[Greeting] = []
    cursor: str | None = None
    for _ in range(4):
        listed = page(engine, now, limit=2, cursor=cursor)
        found += listed.greetings
        cursor = listed.next
    assert cursor is None
    assert [greeting.created_at for greeting in found] == sorted(times, reverse=True)
    assert len({greeting.id for greeting in found}) == len(times)
    assert all(greeting.recipients == GREETING.recipients for greeting in found)


def test_nobody_has_sent_nothing(engine: sa.Engine, now: datetime) -> None:
    assert page(engine, now) == GreetingPage(greetings=[], next=None)


def test_a_cursor_beyond_all_time_is_an_end(engine: sa.Engine, now: datetime) -> None:
    send(engine, now)
    assert page(engine, now, cursor=write_cursor((-(2**63), "g"))).greetings == []
    assert len(page(engine, now, cursor=write_cursor((2**63 - 1, "g"))).greetings) == 1


def test_the_cursor_of_another_list(engine: sa.Engine, now: datetime) -> None:
    with pytest.raises(Problem) as caught:
        page(engine, now, cursor="WyJhIl0")
    assert caught.value.type == "bad-cursor"


def test_views_add_up(open_engine: MakeEngine, now: datetime) -> None:
    replicas = [open_engine("greetings"), open_engine("greetings")]
    one, other = (send(replicas[0], now).greeting.id for _ in range(2))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: add_views(replicas[n % 2], **{one: 1, other: 2}), range(20)))
    views = [fetch(replicas[0], greeting, now).views for greeting in (one, other)]
    assert views == [20, 40]


def test_views_of_what_is_gone_are_no_error(engine: sa.Engine) -> None:
    add_views(engine, g_aaaaaaaaaaaaaaaa=3)


def test_popular(engine: sa.Engine, now: datetime) -> None:
    most, some, elsewhere, _never = (
        send(engine, now, site=site).greeting.id
        for site in ("greetwell", "greetwell", "fiesta", "greetwell")
    )
    add_views(engine, **{most: 9, some: 3, elsewhere: 5})
    assert [(found.id, found.views) for found in popular(engine)] == [
        (most, 9),
        (elsewhere, 5),
        (some, 3),
    ]
    assert [found.id for found in popular(engine, site="greetwell")] == [most, some]
    assert [found.id for found in popular(engine, limit=1)] == [most]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (sa.select(greetings.c.id).where(greetings.c.token == "t"), "ix_greetings_token"),
        (
            sa.select(greetings.c.id)
            .where(greetings.c.sender == "s")
            .order_by(greetings.c.created_at.desc(), greetings.c.id.desc()),
            "ix_greetings_sender_created_at_id",
        ),
        (
            sa.select(greetings.c.id)
            .where(greetings.c.site == "s", greetings.c.views > 0)
            .order_by(greetings.c.views.desc(), greetings.c.id.desc()),
            "ix_greetings_site_views_id",
        ),
        (
            sa.select(greetings.c.id)
            .where(greetings.c.views > 0)
            .order_by(greetings.c.views.desc(), greetings.c.id.desc()),
            "ix_greetings_views_id",
        ),
    ],
)
def test_lists_are_read_from_an_index_without_sorting(
    engine: sa.Engine, query: sa.Select[Any], index: str
) -> None:
    text = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
    with reading(engine) as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
    steps = " / ".join(str(step[3]) for step in plan)
    assert index in steps
    assert "TEMP B-TREE" not in steps
