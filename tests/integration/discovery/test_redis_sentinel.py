"""Redis under three real Sentinels: the master is killed, frozen and moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from balancer import RegistryError
from tests.processes import until
from tests.redis_servers import RedisServer, Replicated, Sentinel, free_port, replicated
from tests.registries import Opener, Told, endpoint


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Replicated]:
    with replicated(tmp_path) as redis:
        yield redis


@pytest.mark.xdist_group("sentinel")
async def test_a_killed_master_costs_no_replica_and_six_seconds_of_news(
    redis: Replicated, opened: Opener
) -> None:
    told = Told(opened(redis.url))
    theirs = opened(redis.url)
    theirs.announce(endpoint("users-1"))
    await told.until("users-1")
    seen = len(told.lists)
    # One Sentinel that does not answer is no loss.
    redis.sentinels[0].freeze()
    opened(redis.url).announce(endpoint("users-2"))
    await told.until("users-1", "users-2")
    redis.sentinels[0].thaw()
    redis.master.kill()
    theirs.announce(endpoint("users-3"))
    await until(lambda: told.names == ["users-1", "users-2", "users-3"], "resumed", 6.0)
    assert all("users-1" in [e.replica for e in each] for each in told.lists[seen:])
    assert b"users-3" in redis.replica.ask("HKEYS", "txmesh:endpoints:users")


@pytest.mark.xdist_group("sentinel")
async def test_a_frozen_and_a_moved_master_are_left(redis: Replicated, opened: Opener) -> None:
    told = Told(opened(redis.url))
    theirs = opened(redis.url)
    theirs.announce(endpoint("users-1"))
    await told.until("users-1")
    redis.master.freeze()
    try:
        theirs.announce(endpoint("users-2"))
        await until(lambda: told.names == ["users-1", "users-2"], "resumed", 8.0)
    finally:
        redis.master.thaw()

    # The old master comes back as a replica; then it is made the master again, by hand.
    def is_so(words: bytes) -> bool:
        with suppress(ConnectionResetError):  # who changes his role cuts his connections
            return words in redis.master.ask("INFO", "replication")
        return False

    await until(lambda: is_so(b"master_link_status:up"), "a replica")

    def moved() -> bool:
        redis.sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster")
        return is_so(b"role:master")

    await until(moved, "moved", 30.0)
    theirs.announce(endpoint("users-3"))
    await until(lambda: told.names == ["users-1", "users-2", "users-3"], "followed", 6.0)
    await until(
        lambda: b"users-3" in redis.master.ask("HKEYS", "txmesh:endpoints:users"), "moved too", 10.0
    )


@pytest.mark.xdist_group("sentinel")
async def test_a_sentinel_that_wants_the_password_gets_it(tmp_path: Path, opened: Opener) -> None:
    with (
        RedisServer(tmp_path, "--requirepass", "s3cret") as master,
        Sentinel(
            tmp_path, master, "requirepass s3cret", "sentinel auth-pass mymaster s3cret"
        ) as sentinel,
    ):
        place = f"127.0.0.1:{sentinel.port}/mymaster"
        assert await opened(f"redis+sentinel://:s3cret@{place}").endpoints() == []
        with pytest.raises(RegistryError, match="wants a password"):
            await opened(f"redis+sentinel://{place}").endpoints()
        with pytest.raises(RegistryError, match=f"{sentinel.port}: the password is wrong"):
            await opened(f"redis+sentinel://:wrong@{place}").endpoints()


@pytest.mark.xdist_group("sentinel")
async def test_sentinels_that_know_nothing_are_said(
    redis: Replicated, opened: Opener, said: list[str]
) -> None:
    with pytest.raises(RegistryError, match="knows no master 'other'"):
        await opened(redis.url.replace("mymaster", "other")).endpoints()
    nobody = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/mymaster"
    with pytest.raises(RegistryError, match=r"no Sentinel names the master: .* refused"):
        await opened(nobody).endpoints()
    assert len(said) == 2
