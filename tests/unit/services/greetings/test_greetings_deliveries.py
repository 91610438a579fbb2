from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from clients.greetings import Greeting, Recipient, SendGreeting
from services.greetings import deliveries, rows
from services.greetings.deliveries import BATCH_ROWS
from services.greetings.tables import greetings, metadata
from services.kit import Problem
from services.kit.storage import make_engine, microseconds, migrate, reading, writing

MakeEngine = Callable[[str], sa.Engine]
MIGRATIONS = "services.greetings.migrations"
HOUR = timedelta(hours=1)


@pytest.fixture
def engine(open_engine: MakeEngine) -> sa.Engine:
    return open_engine("greetings")


def send(engine: sa.Engine, now: datetime, deliver_at: datetime | None) -> str:
    request = SendGreeting(
        sender="u_aaaaaaaaaaaaaaaa",
        recipients=[Recipient(name="Al", email="al@example.com")],
        sku="BDAY-00017",
        message="Many happy returns!",
        site="greetwell",
        deliver_at=deliver_at,
    )
    with writing(engine) as connection:
        return rows.send(connection, request, "Ada", None, now).greeting.id


def fetch(engine: sa.Engine, greeting_id: str, now: datetime) -> Greeting:
    with reading(engine) as connection:
        return rows.fetch(connection, greeting_id, now)


def deliver(engine: sa.Engine, now: datetime) -> int:
    with writing(engine) as connection:
        return deliveries.deliver(connection, now)


def any_due(engine: sa.Engine, now: datetime) -> bool:
    with reading(engine) as connection:
        return deliveries.any_due(connection, now)


def plant(engine: sa.Engine, now: datetime, number: int) -> None:
    """Greetings that are due, one a second before now."""
    with writing(engine) as connection:
        connection.execute(
            greetings.insert(),
            [
                {
                    "id": f"g_{index:016}",
                    "token": f"t_{index:026}",
                    "sender": "u_aaaaaaaaaaaaaaaa",
                    "sender_name": "Ada",
                    "sku": "BDAY-00017",
                    "message": "Hi",
                    "site": "greetwell",
                    "deliver_at": now - timedelta(seconds=index),
                    "created_at": now - HOUR,
                    "views": 0,
                }
                for index in range(number)
            ],
        )


def test_only_what_is_due_and_was_not_cancelled_is_delivered(
    engine: sa.Engine, now: datetime
) -> None:
    at_once, due, later = (send(engine, now, at) for at in (None, now + HOUR, now + 3 * HOUR))
    cancelled = send(engine, now, now + HOUR)
    with writing(engine) as connection:
        rows.cancel(connection, cancelled, None, now)
    assert not any_due(engine, now)
    assert deliver(engine, now) == 0
    then = now + 2 * HOUR
    assert any_due(engine, then)
    assert deliver(engine, then) == 1
    assert not any_due(engine, then)
    assert deliver(engine, then + timedelta(minutes=1)) == 0
    found = {each: fetch(engine, each, then) for each in (at_once, due, later, cancelled)}
    assert [each.delivered_at for each in found.values()] == [now, then, None, None]
    assert [each.state for each in found.values()] == ["sent", "sent", "scheduled", "cancelled"]


def test_what_is_delivered_is_sent_for_a_clock_that_is_behind_as_well(
    engine: sa.Engine, now: datetime
) -> None:
    due = send(engine, now, now + HOUR)
    assert deliver(engine, now + HOUR) == 1
    behind = now + HOUR - timedelta(milliseconds=5)
    assert fetch(engine, due, behind).state == "sent"
    with writing(engine) as connection, pytest.raises(Problem) as caught:
        rows.cancel(connection, due, None, behind)
    assert caught.value.type == "not-scheduled"


def test_a_batch_is_bounded_and_begins_with_what_is_due_longest(
    engine: sa.Engine, now: datetime
) -> None:
    plant(engine, now, BATCH_ROWS + 10)
    assert deliver(engine, now) == BATCH_ROWS
    with reading(engine) as connection:
        rest = connection.execute(
            sa.select(greetings.c.deliver_at).where(greetings.c.delivered_at.is_(None))
        ).scalars()
        assert min(rest) == now - timedelta(seconds=9)
    assert deliver(engine, now) == 10


def test_whoever_delivers_at_the_same_time_each_greeting_is_delivered_once(
    open_engine: MakeEngine, now: datetime
) -> None:
    replicas = [open_engine("greetings") for _ in range(3)]
    total = 4 * BATCH_ROWS + 7
    plant(replicas[0], now, total)
    moments = [now + timedelta(seconds=number) for number in range(12)]
    with ThreadPoolExecutor(6) as threads:
        counts = list(threads.map(lambda n: deliver(replicas[n % 3], moments[n]), range(12)))
    assert sum(counts) == total
    with reading(replicas[0]) as connection:
        found = connection.execute(
            sa.select(greetings.c.delivered_at, sa.func.count()).group_by(greetings.c.delivered_at)
        ).all()
    by_moment: dict[Any, int] = {row[0]: row[1] for row in found}
    assert [by_moment.get(moment, 0) for moment in moments] == counts


def test_what_is_due_is_read_from_its_index(engine: sa.Engine, now: datetime) -> None:
    text = str(
        deliveries._due(now)
        .order_by(greetings.c.deliver_at)
        .limit(BATCH_ROWS)
        .compile(engine, compile_kwargs={"render_postcompile": True})
    )
    values = {"deliver_at_1": microseconds(now), "param_1": BATCH_ROWS, "param_2": 0}
    with reading(engine) as connection:
        plan = connection.connection.execute(
            f"EXPLAIN QUERY PLAN {text}", list(values.values())[: text.count("?")]
        ).fetchall()
    steps = " / ".join(str(step[3]) for step in plan)
    assert "ix_greetings_undelivered" in steps
    assert "TEMP B-TREE" not in steps


def test_a_store_of_the_version_before_is_brought_up_to_date(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "greetings.sqlite"
    engine = make_engine(path)
    script = ScriptDirectory(str(Path(__file__).parents[4] / "services/greetings/migrations"))
    past, ahead = datetime.fromisoformat("2025-12-24T15:00:00Z"), now + timedelta(days=30_000)
    with writing(engine) as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            script.get_revision("0001").module.upgrade()
        context.stamp(script, "0001")
        for index, (deliver_at, cancelled_at) in enumerate(
            [(None, None), (past, None), (past, past - HOUR), (ahead, None)]
        ):
            connection.exec_driver_sql(
                "INSERT INTO greetings VALUES (?, ?, 'u', 'Ada', 's', 'm', 'x', ?, ?, 0, 0)",
                (
                    f"g{index}",
                    f"t{index}",
                    None if deliver_at is None else microseconds(deliver_at),
                    None if cancelled_at is None else microseconds(cancelled_at),
                ),
            )
    migrate(engine, path, MIGRATIONS, metadata)
    with reading(engine) as connection:
        query = sa.select(greetings.c.delivered_at).order_by(greetings.c.id)
        assert list(connection.execute(query).scalars()) == [None, past, None, None]
    # The version before writes as it did.
    with writing(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO greetings (id, token, sender, sender_name, sku, message, site, deliver_at,"
            " created_at, views) VALUES ('g9', 't9', 'u', 'Ada', 's', 'm', 'x', ?, 0, 0)",
            (microseconds(past),),
        )
    assert deliver(engine, now) == 1
    engine.dispose()
