"""What every registry promises that replicas enter themselves: the same for each of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from balancer import RegistryError
from balancer.discovery import Lock, Registry
from balancer.testing import FakeRegistry
from tests.kubernetes_api import KubernetesApiServer
from tests.processes import sleep, until
from tests.redis_servers import RedisServer
from tests.registries import Opener, Told, connected, endpoint


@contextmanager
def in_memory(_folder: Path) -> Iterator[Opener]:
    registry = FakeRegistry()
    yield lambda: registry


@contextmanager
def in_folder(folder: Path) -> Iterator[Opener]:
    yield lambda: connected("file:leases", folder)


@contextmanager
def in_redis(folder: Path) -> Iterator[Opener]:
    with RedisServer(folder) as server:
        yield lambda: connected(server.url, folder)


@contextmanager
def in_kubernetes(folder: Path) -> Iterator[Opener]:
    from twisted.internet import reactor

    server = KubernetesApiServer(reactor)
    server.start()
    yield lambda: connected(f"kubernetes+http://{server.address}?namespace=mesh", folder)
    ensureDeferred(server.stop())


PLACES: dict[str, Callable[[Path], AbstractContextManager[Opener]]] = {
    "memory": in_memory,
    "folder": in_folder,
    "redis": in_redis,
    "kubernetes": in_kubernetes,
}
# Those that replicas enter themselves.
ENTERED = ["memory", "folder", "redis"]


@pytest_twisted.async_yield_fixture(params=ENTERED)  # type: ignore[untyped-decorator]
async def opener(request: Any, tmp_path: Path) -> AsyncIterator[Opener]:
    with PLACES[request.param](tmp_path) as make:
        made: list[Registry] = []

        def opens() -> Registry:
            made.append(make())
            return made[-1]

        yield opens
        for registry in made:
            registry.close()
        # What was closed says so over sockets that end in the next turns.
        await sleep(0.05)


async def test_a_watcher_is_told_of_who_enters_changes_and_leaves(opener: Opener) -> None:
    told = Told(opener())
    await told.until()
    theirs = opener()
    first = theirs.announce(endpoint("users-1", version="7", pid=5, standby=True))
    await told.until("users-1")
    assert told.lists[-1] == [endpoint("users-1", version="7", pid=5, standby=True)]
    second = theirs.announce(endpoint("users-2"))
    await told.until("users-1", "users-2")
    before = len(told.lists)
    first.change(endpoint("users-1", version="7", pid=5, weight=0.5))
    await until(
        lambda: endpoint("users-1", version="7", pid=5, weight=0.5) in told.lists[-1], "the change"
    )
    assert all(len(each) == 2 for each in told.lists[before:]), "never a moment without it"
    first.withdraw()
    await told.until("users-2")
    first.withdraw()
    first.change(endpoint("users-1"))
    second.withdraw()
    await told.until()


async def test_who_comes_late_is_told_all_and_who_has_ended_nothing(opener: Opener) -> None:
    theirs = opener()
    theirs.announce(endpoint("users-1"))
    registry = opener()
    early = Told(registry)
    await early.until("users-1")
    late = Told(registry)
    await late.until("users-1")
    assert late.lists == [[endpoint("users-1")]], "at once, and once"
    early.end()
    early.end()
    seen = len(early.lists)
    theirs.announce(endpoint("users-2"))
    await late.until("users-1", "users-2")
    assert len(early.lists) == seen
    late.end()
    again = Told(registry)
    await again.until("users-1", "users-2")


async def test_services_are_apart(opener: Opener) -> None:
    registry = opener()
    users, products = Told(registry), Told(registry, "products")
    await users.until()
    await products.until()
    theirs = opener()
    theirs.announce(endpoint("one"))
    theirs.announce(endpoint("one", service="products"))
    await users.until("one")
    await products.until("one")
    assert users.lists[-1] == [endpoint("one")]
    assert products.lists[-1] == [endpoint("one", service="products")]


async def test_all_endpoints_of_all_services(opener: Opener) -> None:
    registry = opener()
    assert await registry.endpoints() == []
    theirs = opener()
    entered = [endpoint("users-1"), endpoint("users-2"), endpoint("p-1", service="products")]
    told = [Told(registry), Told(registry, "products")]
    for each in entered:
        theirs.announce(each)
    await told[0].until("users-1", "users-2")
    await told[1].until("p-1")
    found = await registry.endpoints()
    assert sorted(found, key=lambda e: (e.service, e.replica), reverse=True) == [
        entered[1],
        entered[0],
        entered[2],
    ]
    age_s = registry.age_s()
    assert age_s is not None
    assert age_s < 2.0


@pytest.mark.parametrize("service", ["..", "", "a/../..", "no such thing", "x" * 101, "ü"])
async def test_a_name_that_is_no_service_s_has_nobody(opener: Opener, service: str) -> None:
    told = Told(opener(), service)
    assert told.lists == [[]]


async def test_a_lock_has_one_holder_and_a_note_for_the_next(opener: Opener) -> None:
    mine, theirs = opener(), opener()
    first = await mine.lock("replace.users", "me")
    assert first is not None
    assert first.note == ""
    assert await theirs.lock("replace.users", "you") is None
    assert await mine.lock("replace.users", "me again") is None
    other = await theirs.lock("replace.products", "you")
    assert other is not None
    lost: list[object] = []
    first.lost.addCallback(lost.append)
    await first.release("done: 7 ü\n")
    await first.release("too late")
    second = await theirs.lock("replace.users", "you")
    assert second is not None
    assert second.note == "done: 7 ü\n"
    await second.release()
    third = await mine.lock("replace.users", "me")
    assert third is not None
    assert third.note == "done: 7 ü\n"
    await third.release("")
    await other.release()
    last = await mine.lock("replace.users", "me")
    assert last is not None
    assert last.note == ""
    await last.release()
    assert lost == []
    assert await mine.endpoints() == [], "a lock is no service"


@pytest.mark.parametrize("opener", list(PLACES), indirect=True)
async def test_a_lock_s_name_may_be_a_job_s(opener: Opener) -> None:
    mine, theirs = opener(), opener()
    for name in ("job.greetings.Deliver_due", f"job.{'s' * 60}.{'j' * 40}"):
        lock = await mine.lock(name, "me")
        assert lock is not None
        assert await theirs.lock(name, "you") is None
        await lock.release("done")
        again = await theirs.lock(name, "you")
        assert again is not None
        assert again.note == "done"
        await again.release()


@pytest.mark.parametrize("opener", list(PLACES), indirect=True)
async def test_whoever_asks_is_told_who_has_a_lock(opener: Opener) -> None:
    mine, theirs = opener(), opener()
    assert await mine.holder("replace.users") == "", "it was never taken"
    words = "deploy-1, process 7 (for version 2) ü"
    lock = await mine.lock("replace.users", words)
    assert lock is not None
    assert await theirs.lock("replace.users", "you") is None
    assert await mine.holder("replace.users") == words
    assert await theirs.holder("replace.users") == words
    assert await theirs.holder("replace.products") == "", "it is another one"
    await lock.release("done")
    assert await mine.holder("replace.users") == ""
    assert await theirs.holder("replace.users") == ""
    again = await theirs.lock("replace.users", "you")
    assert again is not None, "who asks does not have it"
    assert again.note == "done"
    assert await mine.holder("replace.users") == "you"
    await again.release()


# The one in memory is one object for all, and takes what a test gives it.
of_several = pytest.mark.parametrize("opener", ["folder", "redis"], indirect=True)
of_processes = pytest.mark.parametrize("opener", ["folder", "redis", "kubernetes"], indirect=True)


@of_several
async def test_what_is_closed_gives_up_its_leases(opener: Opener) -> None:
    theirs = opener()
    told = Told(opener())
    gone = theirs.announce(endpoint("users-1"))
    held = theirs.announce(endpoint("users-2"))
    await told.until("users-1", "users-2")
    gone.withdraw()
    await told.until("users-2")
    theirs.close()
    await told.until()
    # What is done with it afterwards is harmless, and enters nothing again.
    held.change(endpoint("users-2", weight=0.5))
    held.withdraw()
    theirs.close()
    assert await opener().endpoints() == []


@of_processes
async def test_what_is_closed_gives_up_its_locks(opener: Opener) -> None:
    theirs, mine = opener(), opener()
    held = await theirs.lock("replace.users", "you")
    assert held is not None
    lost: list[object] = []
    held.lost.addCallback(lost.append)
    assert await mine.lock("replace.users", "me") is None
    theirs.close()
    # Sooner by far than its time to live.
    lock = await taken(mine, "replace.users")
    await held.release("too late")
    await lock.release()
    again = await taken(mine, "replace.users")
    assert again.note == ""
    await again.release()
    assert lost == [], "a holder who gives it up is not told of a loss"


@of_processes
async def test_what_is_closed_takes_nothing_more(opener: Opener) -> None:
    theirs, unused, mine = opener(), opener(), opener()
    held = await theirs.lock("replace.users", "you")
    assert held is not None
    for registry in (theirs, unused):
        registry.close()
        said = re.escape(f"the registry {registry.url} was closed")
        with pytest.raises(RegistryError, match=said):
            registry.announce(endpoint("users-1"))
        with pytest.raises(RegistryError, match=said):
            await registry.lock("replace.products", "you")
        with pytest.raises(RegistryError, match=said):
            await registry.holder("replace.users")
    lock = await taken(mine, "replace.products")
    await lock.release()


async def taken(registry: Registry, name: str) -> Lock:
    """A lock, as soon as nobody has it."""
    for _ in range(100):
        lock = await registry.lock(name, "me")
        if lock is not None:
            return lock
        await sleep(0.02)
    raise AssertionError(f"{name} is not given back")


@of_several
@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "x" * 101, "a\n"])
async def test_a_bad_name_is_refused(opener: Opener, name: str) -> None:
    registry = opener()
    with pytest.raises(RegistryError, match="name"):
        registry.announce(endpoint(name))
    lock = name * 2 if name.isalnum() else name
    with pytest.raises(RegistryError, match="lock name"):
        await registry.lock(lock, "me")
    with pytest.raises(RegistryError, match="lock name"):
        await registry.holder(lock)
