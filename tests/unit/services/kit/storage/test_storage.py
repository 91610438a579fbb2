from __future__ import annotations

import fcntl
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_twisted
import sqlalchemy as sa
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock

from services.kit import Problem
from services.kit.storage import MigrationError, Storage
from services.kit.storage.storage import THREADS
from services.products.tables import metadata, product_sites, products

MIGRATIONS = "services.products.migrations"
ambient: ContextVar[str] = ContextVar("ambient", default="none")


class Deadline:
    at: float | None = None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deadline() -> Deadline:
    return Deadline()


@pytest.fixture
def make(tmp_path: Path, clock: Clock, deadline: Deadline) -> Callable[[], Storage]:
    return lambda: Storage(
        tmp_path / "deep" / "products.sqlite",
        name="products",
        metadata=metadata,
        migrations=MIGRATIONS,
        seconds=clock.seconds,
        deadline=lambda: deadline.at,
    )


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # the library has no types
async def storage(make: Callable[[], Storage]) -> AsyncIterator[Storage]:
    async with make() as storage:
        yield storage


def add(connection: sa.Connection, sku: str, price: int = 1) -> str:
    connection.execute(
        products.insert().values(
            sku=sku,
            title="Sunflowers",
            description="A field of them.",
            occasion="birthday",
            category="card",
            price_cents=price,
            currency="USD",
            state="published",
            updated_at=datetime(2026, 11, 20, tzinfo=UTC),
            search_text="sunflowers",
        )
    )
    return sku


def skus(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(products.c.sku).order_by(products.c.sku)).scalars())


def price(connection: sa.Connection) -> int:
    found: int = connection.execute(sa.select(products.c.price_cents)).scalar_one()
    return found


def raise_price(connection: sa.Connection) -> None:
    before = price(connection)
    connection.execute(products.update().values(price_cents=before + 1))


async def test_a_write_is_read(storage: Storage) -> None:
    assert await storage.write(add, "A") == "A"
    assert await storage.write(add, sku="B") == "B"
    assert await storage.read(skus) == ["A", "B"]


async def test_nobody_else_on_the_machine_reads_the_files(storage: Storage) -> None:
    await storage.write(add, "A")
    files = list(storage.path.parent.glob("products.sqlite*"))
    assert {file.name.removeprefix("products.sqlite") for file in files} >= {"", "-wal", "-shm"}
    for file in files:
        if not file.name.endswith(".lock"):
            assert file.stat().st_mode & 0o077 == 0


async def test_jobs_run_in_threads_of_their_own(storage: Storage) -> None:
    name = await storage.read(lambda _: threading.current_thread().name)
    assert "storage-products" in name


@pytest.mark.usefixtures("storage")
async def test_no_job_has_to_wait_for_a_thread_to_begin() -> None:
    own = [each for each in threading.enumerate() if "storage-products" in each.name]
    assert len(own) == THREADS


async def test_jobs_have_their_callers_context(storage: Storage) -> None:
    token = ambient.set("mine")
    try:
        assert await storage.read(lambda _: ambient.get()) == "mine"
        assert await storage.write(lambda _: ambient.get()) == "mine"
    finally:
        ambient.reset(token)


async def test_a_failing_write_leaves_nothing_and_tells_why(storage: Storage) -> None:
    def fail(connection: sa.Connection) -> None:
        add(connection, "A")
        raise LookupError("why")

    with pytest.raises(LookupError, match="why"):
        await storage.write(fail)
    assert await storage.read(skus) == []
    assert await storage.write(add, "A") == "A"


async def test_references_are_checked(storage: Storage) -> None:
    def orphan(connection: sa.Connection) -> None:
        connection.execute(product_sites.insert().values(sku="none", site="greetwell"))

    with pytest.raises(sa.exc.IntegrityError):
        await storage.write(orphan)


async def test_a_job_that_waited_past_the_deadline_is_not_begun(
    storage: Storage, clock: Clock, deadline: Deadline
) -> None:
    deadline.at = 1.0
    assert await storage.read(skus) == []
    clock.advance(1.0)
    for call in (storage.read, storage.write):
        with pytest.raises(Problem) as caught:
            await call(add, "A")
        assert (caught.value.status, caught.value.type) == (504, "deadline-exceeded")
    deadline.at = None
    assert await storage.read(skus) == []


async def test_writes_that_wait_leave_threads_to_the_reads(storage: Storage) -> None:
    go = threading.Event()

    def slow(connection: sa.Connection, sku: str) -> None:
        assert go.wait(10)
        add(connection, sku)

    writes = [Deferred.fromCoroutine(storage.write(slow, f"{n}")) for n in range(8)]
    # Eight writes are under way on four threads, and a read is answered all the same.
    assert await storage.read(skus) == []
    go.set()
    await gatherResults(writes)
    assert await storage.read(skus) == [f"{n}" for n in range(8)]


async def test_a_write_keeps_its_turn_when_its_caller_leaves(storage: Storage) -> None:
    held, go = threading.Event(), threading.Event()

    def hold(_: sa.Connection) -> None:
        held.set()
        assert go.wait(10)

    leaving = Deferred.fromCoroutine(storage.write(hold))
    await storage.read(lambda _: held.wait(10))
    leaving.cancel()
    with pytest.raises(CancelledError):
        await leaving
    next_write = Deferred.fromCoroutine(storage.write(add, "A"))
    # Three reads meet, so all threads but that of the first write are free.
    meeting = threading.Barrier(3, timeout=10)
    await gatherResults(
        [Deferred.fromCoroutine(storage.read(lambda _: meeting.wait())) for _ in range(3)]
    )
    go.set()
    assert await next_write == "A"


async def test_a_job_given_up_by_its_caller_is_not_begun(storage: Storage) -> None:
    go = threading.Event()
    holding = [Deferred.fromCoroutine(storage.read(lambda _: go.wait(10))) for _ in range(4)]
    begun: list[str] = []
    waiting = Deferred.fromCoroutine(storage.read(lambda _: begun.append("read")))
    writing = Deferred.fromCoroutine(storage.write(lambda _: begun.append("write")))
    for call in (waiting, writing):
        call.cancel()
        with pytest.raises(CancelledError):
            await call
    go.set()
    await gatherResults(holding)
    await storage.write(add, "A")
    assert begun == []


async def test_two_replicas_lose_no_update(make: Callable[[], Storage]) -> None:
    async with make() as one, make() as other:
        await one.write(add, "A", 0)
        await gatherResults(
            [Deferred.fromCoroutine(replica.write(raise_price)) for replica in [one, other] * 20]
        )
        assert await other.read(price) == 40


async def test_replicas_that_open_together(make: Callable[[], Storage]) -> None:
    replicas = [make() for _ in range(3)]
    await gatherResults([Deferred.fromCoroutine(replica.open()) for replica in replicas])
    for replica in replicas:
        assert await replica.read(skus) == []
        await replica.close()


async def test_a_lock_that_is_held_for_too_long(
    make: Callable[[], Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make() as holder:
        monkeypatch.setattr("services.kit.storage.engine.BUSY_TIMEOUT_S", 0.05)
        async with make() as other:
            held, go = threading.Event(), threading.Event()

            def hold(_: sa.Connection) -> None:
                held.set()
                assert go.wait(10)

            holding = Deferred.fromCoroutine(holder.write(hold))
            await other.read(lambda _: held.wait(10))
            with pytest.raises(Problem) as caught:
                await other.write(add, "A")
            assert (caught.value.status, caught.value.type) == (503, "storage-busy")
            go.set()
            await holding
            assert await other.write(add, "A") == "A"


async def test_closing_lets_running_jobs_end(make: Callable[[], Storage]) -> None:
    storage = make()
    await storage.open()
    go = threading.Event()
    running = Deferred.fromCoroutine(storage.read(lambda _: go.wait(10)))
    closing = Deferred.fromCoroutine(storage.close())
    assert not closing.called
    for call in (storage.read, storage.write, storage.write):
        with pytest.raises(Problem) as caught:
            await call(skus)
        assert (caught.value.status, caught.value.type) == (503, "stopping")
    go.set()
    assert await running is True
    await closing
    await storage.close()


async def test_closing_refuses_every_write_that_waits_for_its_turn(
    make: Callable[[], Storage],
) -> None:
    """More of them than Python's stack is deep: each must be refused by itself."""
    storage = make()
    await storage.open()
    go = threading.Event()
    running = Deferred.fromCoroutine(storage.write(lambda _: go.wait(10)))
    refused: list[str] = []

    async def write() -> None:
        with pytest.raises(Problem) as caught:
            await storage.write(add, "A")
        refused.append(caught.value.type)

    waiting = [Deferred.fromCoroutine(write()) for _ in range(2000)]
    closing = Deferred.fromCoroutine(storage.close())
    waiting.append(Deferred.fromCoroutine(write()))
    go.set()
    assert await running is True
    await gatherResults(waiting)
    assert refused == ["stopping"] * 2001
    await closing


async def test_an_opening_that_is_given_up_does_not_wait_for_the_lock(
    make: Callable[[], Storage],
) -> None:
    storage = make()
    storage.path.parent.mkdir()
    with storage.path.with_name("products.sqlite.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        opening = Deferred.fromCoroutine(storage.open())
        opening.cancel()
        with pytest.raises(CancelledError):
            await opening
    assert not [t for t in threading.enumerate() if "storage-products" in t.name]


async def test_a_start_that_fails_leaves_no_threads(tmp_path: Path, clock: Clock) -> None:
    forgotten = sa.MetaData()
    sa.Table("forgotten", forgotten, sa.Column("id", sa.Integer, primary_key=True))
    storage = Storage(
        tmp_path / "failing.sqlite",
        name="failing",
        metadata=forgotten,
        migrations=MIGRATIONS,
        seconds=clock.seconds,
    )
    with pytest.raises(MigrationError, match="forgotten"):
        await storage.open()
    assert not [t for t in threading.enumerate() if "storage-failing" in t.name]
