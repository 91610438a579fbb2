"""Locks in a real Redis, whose holders and servers die and freeze."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from balancer import RegistryError
from balancer.discovery import Lock, Registry
from tests.processes import ROOT, sleep, until
from tests.redis_servers import RedisServer
from tests.registries import Opener

TTL_S = 2.0

HOLDER = """
import random, sys, time
from pathlib import Path
from twisted.internet import reactor
from balancer import MonotonicClock
from balancer.discovery import RegistrySettings, open_registry
registry = open_registry(RegistrySettings(url=sys.argv[1], ttl_s=float(sys.argv[2])), Path(),
                         reactor=reactor, clock=MonotonicClock(reactor), rng=random.Random())

def taken(lock):
    print("taken" if lock else "not taken", flush=True)
    lock.lost.addCallback(lambda _: print("lost", time.monotonic(), flush=True))

reactor.callWhenRunning(lambda: registry.lock("job", "another").addCallback(taken))
reactor.run()
"""


def hold(server: RedisServer) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, server.url, str(TTL_S)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def losses(lock: Lock) -> list[object]:
    found: list[object] = []
    lock.lost.addCallback(found.append)
    return found


async def taken(registry: Registry) -> Lock:
    """The lock, as soon as another's time to live has ended."""
    end = time.monotonic() + TTL_S + 1.0
    while (lock := await registry.lock("job", "me")) is None:
        assert time.monotonic() < end, "it is not free"
        await sleep(0.05)
    return lock


async def test_a_lock_is_held_for_many_times_its_time_to_live(
    server: RedisServer, opened: Opener
) -> None:
    lock = await opened(server.url, ttl_s=1.0).lock("job", "me")
    assert lock is not None
    lost = losses(lock)
    await sleep(3.5)
    assert await opened(server.url).lock("job", "you") is None
    assert not lost
    assert server.ask("GET", "txmesh:lock:job").strip().endswith(b" me")
    await lock.release()


async def test_a_killed_holder_s_lock_is_free_after_its_time_to_live(
    server: RedisServer, opened: Opener
) -> None:
    registry = opened(server.url, ttl_s=TTL_S)
    with hold(server) as process:
        try:
            assert line(process) == "taken"
            assert await registry.lock("job", "me") is None
            assert await registry.holder("job") == "another"
        finally:
            process.kill()
    lock = await taken(registry)
    assert await registry.holder("job") == "me"
    await lock.release()


async def test_who_asks_for_the_holder_while_the_server_is_gone_is_told_so(
    server: RedisServer, opened: Opener
) -> None:
    registry = opened(server.url)
    assert await registry.holder("job") == ""
    server.kill()
    with pytest.raises(RegistryError, match="does not answer"):
        await registry.holder("job")


async def test_a_dead_holder_is_nobody_after_its_time_to_live(
    server: RedisServer, opened: Opener
) -> None:
    registry = opened(server.url)
    server.ask("SET", "txmesh:lock:job", "token of the dead", "PX", "300")
    assert await registry.holder("job") == "of the dead"
    end = time.monotonic() + 2.0
    while await registry.holder("job"):
        assert time.monotonic() < end, "it is still named"
        await sleep(0.02)


async def test_a_frozen_holder_is_told_before_it_does_anything_else(
    server: RedisServer, opened: Opener
) -> None:
    registry = opened(server.url, ttl_s=TTL_S)
    with hold(server) as process:
        try:
            assert line(process) == "taken"
            os.kill(process.pid, signal.SIGSTOP)
            lock = await taken(registry)
            os.kill(process.pid, signal.SIGCONT)
            assert line(process).startswith("lost ")
            assert not losses(lock)
            await lock.release("mine")
        finally:
            process.kill()
    again = await registry.lock("job", "me")
    assert again is not None
    assert again.note == "mine"
    await again.release()


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_a_holder_is_told_in_time_when_the_server_is_gone(
    server: RedisServer, opened: Opener, how: str
) -> None:
    lock = await opened(server.url, ttl_s=3.0).lock("job", "me")
    assert lock is not None
    lost = losses(lock)
    gone_at = time.monotonic()
    getattr(server, how)()
    try:
        await until(lambda: lost, "told", 3.0)
        # Its last renewal was at most a third of its time to live before.
        assert time.monotonic() - gone_at < 0.75 * 3.0 + 0.2
        await lock.release("harmless")
    finally:
        if how == "freeze":
            server.thaw()


async def test_a_short_loss_costs_no_lock(
    server: RedisServer, opened: Opener, said: list[str]
) -> None:
    registry = opened(server.url)
    kept, unlucky = await registry.lock("kept", "me"), await registry.lock("unlucky", "me")
    assert kept is not None
    assert unlucky is not None
    lost = losses(kept)
    server.freeze()
    try:
        await until(lambda: said, "noticed", 6.0)
        with pytest.raises(RegistryError, match=r"lock unlucky could not be given back.*itself"):
            await unlucky.release("note")
    finally:
        server.thaw()
    await until(lambda: len(said) == 2, "back", 4.0)
    assert await opened(server.url).lock("kept", "you") is None
    assert not lost
    await kept.release("done")
    assert b"done" in server.ask("GET", "txmesh:note:kept")


async def test_an_emptied_database_is_a_lost_lock(server: RedisServer, opened: Opener) -> None:
    lock = await opened(server.url).lock("job", "me")
    assert lock is not None
    lost = losses(lock)
    server.ask("FLUSHALL")
    await until(lambda: lost, "told", 2.0)


async def test_somebody_else_s_lock_is_not_given_back(server: RedisServer, opened: Opener) -> None:
    mine = await opened(server.url).lock("job", "me")
    assert mine is not None
    server.ask("SET", "txmesh:lock:job", "somebody else")
    await mine.release("not mine to say")
    assert b"somebody else" in server.ask("GET", "txmesh:lock:job")
    assert server.ask("GET", "txmesh:note:job") == b"$-1\r\n"


async def test_closing_gives_a_lock_back(server: RedisServer, opened: Opener) -> None:
    theirs = opened(server.url)
    lock = await theirs.lock("job", "you")
    assert lock is not None
    lost = losses(lock)
    theirs.close()
    await until(lambda: server.ask("EXISTS", "txmesh:lock:job") == b":0\r\n", "given back", 2.0)
    assert not lost


async def test_closing_gives_back_what_is_just_being_taken(
    server: RedisServer, opened: Opener
) -> None:
    mine, theirs = opened(server.url), opened(server.url)
    await mine.endpoints()
    taking = mine.lock("job", "me")
    mine.close()
    with pytest.raises(RegistryError):
        await taking
    lock = await theirs.lock("job", "you")
    assert lock is not None
