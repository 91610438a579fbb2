"""A Redis, registries in it, and what the log says of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted

from balancer.discovery import Registry
from tests.logs import said_by
from tests.processes import sleep
from tests.redis_servers import RedisServer
from tests.registries import Opener, connected


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # the library has no types
async def opened(tmp_path: Path) -> AsyncIterator[Opener]:
    made: list[Registry] = []

    def opens(url: str, *, ttl_s: float = 10.0, reread_s: float = 15.0) -> Registry:
        made.append(connected(url, tmp_path, ttl_s=ttl_s, reread_s=reread_s, seed=len(made)))
        return made[-1]

    yield opens
    for registry in made:
        registry.close()
    await sleep(0.05)  # sockets end in the next turns


@pytest.fixture
def said() -> Iterator[list[str]]:
    with said_by("balancer.discovery.redis") as said:
        yield said
