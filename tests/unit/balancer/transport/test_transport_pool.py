"""The pool: who waits is served, told, or forgotten; on loopback ports of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from balancer import CallError, ConfigError, ConnectFailed, Reply
from balancer.transport import Pool, PoolSettings, Sweep
from balancer.values import split_address
from balancer.wire import WireLimits
from tests.processes import until


class Try:
    """An attempt that keeps what it is told."""

    def __init__(self) -> None:
        self.carrier: Any = None
        self.errors: list[CallError] = []

    def payload(self) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    def replied(self, reply: Reply) -> None:
        raise AssertionError("nobody answers here")

    def failed(self, error: CallError) -> None:
        self.errors.append(error)


@pytest.fixture
def make_pool() -> Callable[..., Pool]:
    def make(address: str, **settings: Any) -> Pool:
        from twisted.internet import reactor

        clock = Clock()
        return Pool(
            address,
            reactor=reactor,
            clock=clock,
            sweep=Sweep(clock),
            settings=PoolSettings(**settings),
            limits=WireLimits(),
        )

    return make


@pytest.fixture
def refused() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


async def test_who_waits_for_a_place_is_told_when_connects_fail(
    make_pool: Callable[..., Pool], refused: str
) -> None:
    pool = make_pool(refused, connections=2)
    attempts = [Try() for _ in range(7)]
    for attempt in attempts:
        pool.start(attempt)
    await until(lambda: all(attempt.errors for attempt in attempts), "all are told")
    assert {type(attempt.errors[0]) for attempt in attempts} == {ConnectFailed}
    assert not any(attempt.errors[0].sent for attempt in attempts)


def test_a_closed_pool_takes_nothing_new(make_pool: Callable[..., Pool], refused: str) -> None:
    pool = make_pool(refused)
    pool.close()
    attempt = Try()
    pool.start(attempt)
    assert [error.kind for error in attempt.errors] == ["connect"]


@pytest.mark.parametrize(
    "address",
    ["", "a", "a:", ":1", "a:0", "a:65536", "a:\u00b2", "a b:1", "[::1:1", "a:1:2", "a:-1"],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigError, match="is not host:port"):
        split_address(address)


@pytest.mark.parametrize(
    ("address", "cut"), [("a.b:1", ("a.b", 1)), ("[::1]:65535", ("::1", 65535))]
)
def test_what_is_an_address(address: str, cut: tuple[str, int]) -> None:
    assert split_address(address) == cut
