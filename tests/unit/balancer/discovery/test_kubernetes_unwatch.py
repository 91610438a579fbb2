"""A watch of EndpointSlices that is ended before the API server has answered."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_twisted

from balancer import Endpoint, MonotonicClock
from balancer.discovery.kubernetes import KubernetesRegistry, Place
from tests.kubernetes_api import SLICES, KubernetesApiServer
from tests.logs import said_by
from tests.processes import sleep, until


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def server() -> AsyncIterator[KubernetesApiServer]:
    from twisted.internet import reactor

    server = KubernetesApiServer(reactor)
    server.start()
    yield server
    server.frozen = False
    await server.stop()


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of somebody who accepts nothing: whoever connects goes on connecting."""
    with socket.socket() as port, socket.socket() as first:
        port.bind(("127.0.0.1", 0))
        port.listen(0)
        first.connect(port.getsockname())  # the only one that the kernel lets wait
        yield f"127.0.0.1:{port.getsockname()[1]}"


def open_registry(address: str) -> KubernetesRegistry:
    from twisted.internet import reactor

    return KubernetesRegistry(
        Place(server=address, tls=False, namespace="mesh"),
        reactor=reactor,
        clock=MonotonicClock(reactor),
        rng=random.Random(1),
        ttl_s=10,
    )


def sockets() -> int:
    """How many this process has open."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def later() -> set[int]:
    """What the reactor has still to do."""
    from twisted.internet import reactor

    return {id(call) for call in reactor.getDelayedCalls()}


async def test_it_ends_while_it_is_connecting(deaf: str) -> None:
    registry = open_registry(deaf)
    before, calls, told = sockets(), later(), list[object]()
    with said_by("balancer.discovery") as said:
        end = registry.watch("users", told.append)
        await until(lambda: sockets() == before + 1, "the attempt")
        end()
        await until(lambda: sockets() == before, "the end of the attempt", 2.0)
        assert later() <= calls, "nothing is to be done again"
        end()
    assert told == []
    assert said == []


async def test_it_ends_while_the_first_answer_is_awaited(server: KubernetesApiServer) -> None:
    server.frozen = True
    registry = open_registry(server.address)
    before, told = sockets(), list[object]()
    with said_by("balancer.discovery") as said:
        end = registry.watch("users", told.append)
        await until(lambda: server.asked, "the question")
        end()
        await until(lambda: sockets() == before, "the end of both ends", 2.0)
        # A retry would come within 0.1 s.
        await sleep(0.3)
        assert len(server.asked) == 1
    assert told == []
    assert said == []


async def test_who_follows_anew_is_told_and_who_has_ended_is_not(
    server: KubernetesApiServer,
) -> None:
    server.frozen = True
    registry = open_registry(server.address)
    ended, told = list[object](), list[list[Endpoint]]()
    end = registry.watch("users", ended.append)
    await until(lambda: server.asked, "the question")
    end()
    server.frozen = False
    registry.watch("users", lambda endpoints: told.append(list(endpoints)))
    await until(lambda: told == [[]], "the first answer")
    await until(lambda: len(server.watches) == 1, "the watch")
    assert [path for _, path, _ in server.asked] == [SLICES] * 3
    registry.close()
    await until(lambda: not server.watches, "the end of the watch")
    assert ended == []
