"""Leases and changes in a real Redis: killed, frozen, emptied and locked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balancer import Endpoint, RegistryError
from balancer.discovery import Registry
from tests.processes import ROOT, sleep, until
from tests.redis_servers import RedisServer, free_port
from tests.registries import Opener, Told, endpoint

CHILD = """
import random, sys
from pathlib import Path
from twisted.internet import reactor
from balancer import Endpoint, MonotonicClock
from balancer.discovery import RegistrySettings, open_registry
url, replica, ttl_s = sys.argv[1:]
registry = open_registry(RegistrySettings(url=url, ttl_s=float(ttl_s)), Path(), reactor=reactor,
                         clock=MonotonicClock(reactor), rng=random.Random())
registry.announce(Endpoint(service="users", replica=replica, address="127.0.0.1:8001"))
reactor.run()
"""


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    children = []

    def start(url: str, replica: str, ttl_s: float) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, url, replica, str(ttl_s)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


def clients(server: RedisServer) -> list[bytes]:
    """The connections that the server has, but for the one that asks."""
    lines = server.ask("CLIENT", "LIST").split(b"\r\n", 1)[1].splitlines()
    return [line for line in lines if b"cmd=client" not in line and line.strip()]


async def test_a_killed_replica_is_gone_when_its_lease_ends(
    server: RedisServer, opened: Opener, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    told = [Told(opened(server.url, ttl_s=2.0)) for _ in range(2)]
    child = spawn(server.url, "users-1", 2.0)
    opened(server.url, ttl_s=2.0).announce(endpoint("users-2"))
    for each in told:
        await each.until("users-1", "users-2")
    child.kill()
    killed_at = time.monotonic()
    await sleep(0.5)
    assert told[0].names == ["users-1", "users-2"], "its lease has not ended"
    for each in told:
        await each.until("users-2")
    assert time.monotonic() - killed_at < 3.5
    assert b"users-1" not in server.ask("HKEYS", "txmesh:endpoints:users")


async def test_a_frozen_replica_leaves_and_comes_back(
    server: RedisServer, opened: Opener, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    told = Told(opened(server.url, ttl_s=1.0))
    child = spawn(server.url, "users-1", 1.0)
    await told.until("users-1")
    os.kill(child.pid, signal.SIGSTOP)
    try:
        await told.until()
    finally:
        os.kill(child.pid, signal.SIGCONT)
    await told.until("users-1")


async def test_a_living_replica_s_name_is_not_taken_before_its_lease_has_ended(
    server: RedisServer,
    opened: Opener,
    said: list[str],
    spawn: Callable[..., subprocess.Popen[bytes]],
) -> None:
    told = Told(opened(server.url, ttl_s=1.0))
    child = spawn(server.url, "users-1", 1.0)
    await told.until("users-1")
    mine = opened(server.url, ttl_s=1.0)
    lease = mine.announce(endpoint("users-1", version="mine"))
    await until(lambda: said, "the warning")
    lease.change(endpoint("users-1", version="changed"))
    await sleep(2.0)  # several times as long as a lease
    assert [each.version for each in told.lists[-1]] == [""]
    assert len(said) == 1
    assert "another process is announced as users-1" in said[0]
    assert "--name" in said[0]
    child.kill()
    await until(lambda: [e.version for e in told.lists[-1]] == ["changed"], "mine", 4.0)
    lease.withdraw()
    await told.until()


async def test_one_pair_of_connections_whatever_is_followed(
    server: RedisServer, opened: Opener
) -> None:
    registry = opened(server.url)
    assert clients(server) == [], "nothing is connected before the first use"
    assert registry.age_s() is None
    lease = registry.announce(endpoint())
    assert await registry.endpoints() == [endpoint()]
    assert len(clients(server)) == 1, "who follows nothing is told nothing"
    told = [Told(registry, f"service-{number}") for number in range(20)]
    for each in told:
        await each.until()
    for each in told[5:]:
        each.end()
    lease.withdraw()
    await until(lambda: len(clients(server)) == 2, "two connections")
    await until(
        lambda: any(b" sub=5 " in line for line in clients(server)), "followed no more", 2.0
    )
    registry.close()
    await until(lambda: not clients(server), "the connections' end")


async def test_closing_gives_up_leases_at_once(server: RedisServer, opened: Opener) -> None:
    told = Told(opened(server.url))
    theirs = opened(server.url)
    theirs.announce(endpoint())
    await told.until("users-1")
    theirs.close()
    await until(lambda: told.names == [], "left", 2.0)


async def test_an_emptied_database_has_its_leases_back_within_two_seconds(
    server: RedisServer, opened: Opener
) -> None:
    told = Told(opened(server.url))
    theirs = [opened(server.url) for _ in range(5)]
    names = [f"users-{number}" for number in range(5)]
    for registry, name in zip(theirs, names, strict=True):
        registry.announce(endpoint(name))
    await told.until(*names)
    for _ in range(2):
        server.ask("FLUSHALL")
        await until(
            lambda: all(
                name.encode() in server.ask("HKEYS", "txmesh:endpoints:users") for name in names
            ),
            "entered again",
            2.0,
        )
        await until(lambda: told.names == names, "seen", 2.0)


async def test_after_a_restart_without_persistence_all_is_back_within_two_seconds(
    server: RedisServer, opened: Opener, said: list[str]
) -> None:
    registry = opened(server.url)
    told = Told(registry)
    theirs = opened(server.url)
    theirs.announce(endpoint("users-1"))
    await told.until("users-1")
    seen = len(told.lists)
    server.kill()
    late = theirs.announce(endpoint("users-2"))
    await sleep(3.0)
    assert len(told.lists) == seen, "never because it is lost"
    age_s = registry.age_s()
    assert age_s is not None
    assert age_s > 2.0
    with pytest.raises(RegistryError, match=r"does not answer.*refused.*is it running"):
        await registry.endpoints()
    server.start()
    await until(lambda: told.names == ["users-1", "users-2"], "back", 2.0)
    age_s = registry.age_s()
    assert age_s is not None
    assert age_s < 1.5
    late.withdraw()
    await told.until("users-1")
    await until(lambda: len(said) == 4, "said", 3.0)
    # Two processes: each says once that it is lost, and once that it is back.
    assert [("is lost" in line, "is back after" in line) for line in said] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]


async def test_what_ends_while_the_registry_is_lost_ends(
    server: RedisServer, opened: Opener, said: list[str]
) -> None:
    registry = opened(server.url)
    told = [Told(registry), Told(registry, "products")]
    lease = registry.announce(endpoint("users-1"))
    gone = registry.announce(endpoint("users-2"))
    lock = await registry.lock("job", "me")
    assert lock is not None
    await told[0].until("users-1", "users-2")
    server.kill()
    await until(lambda: said, "lost")
    told[0].end()
    gone.withdraw()
    with pytest.raises(RegistryError, match="could not be given back"):
        await lock.release()
    again = Told(registry)
    server.start()
    await again.until("users-1")
    assert len(told[0].lists[-1]) == 2, "it is told no more"
    await until(lambda: len(said) == 2, "back for good")
    server.kill()
    await until(lambda: len(said) == 3, "lost again")
    lease.withdraw()
    registry.close()
    with pytest.raises(RegistryError, match=r"the registry redis://\S+ was closed"):
        await registry.endpoints()


async def test_a_frozen_server_is_lost_and_found(
    server: RedisServer, opened: Opener, said: list[str]
) -> None:
    registry = opened(server.url)
    told = Told(registry)
    lease = registry.announce(endpoint("users-1"))
    await told.until("users-1")
    seen = len(told.lists)
    server.freeze()
    try:
        await until(lambda: said, "noticed", 5.0)
        with pytest.raises(RegistryError, match="does not answer"):
            await registry.endpoints()
        lease.change(endpoint("users-1", version="changed"))
        opened(server.url).announce(endpoint("users-2"))
        assert len(told.lists) == seen
    finally:
        server.thaw()
    await until(
        lambda: (
            [(e.replica, e.version) for e in told.lists[-1]]
            == [("users-1", "changed"), ("users-2", "")]
        ),
        "back",
        2.5,
    )


async def test_what_waits_for_an_answer_ends_within_two_seconds(
    server: RedisServer, opened: Opener
) -> None:
    registry = opened(server.url)
    await registry.endpoints()
    server.freeze()
    try:
        for asked in (registry.endpoints, lambda: registry.lock("job", "me")):
            began = time.monotonic()
            with pytest.raises(RegistryError):
                await asked()
            assert time.monotonic() - began < 2.5
    finally:
        server.thaw()


async def test_a_registry_that_is_not_there_yet_is_waited_for(
    tmp_path: Path, opened: Opener, said: list[str]
) -> None:
    port = free_port()
    registry = opened(f"redis://127.0.0.1:{port}")
    told = Told(registry)
    registry.announce(endpoint())
    with pytest.raises(RegistryError, match="refused"):
        await registry.endpoints()
    assert told.lists == []
    assert registry.age_s() is None
    with RedisServer(tmp_path, port=port):
        await told.until("users-1")
        await until(lambda: len(said) == 2, "said", 3.0)


SECRET = "s3cret:p@ss/word"
QUOTED = "s3cret%3Ap%40ss%2Fword"


async def test_a_wrong_password_is_said_once_and_never_shown(
    tmp_path: Path, opened: Opener, said: list[str]
) -> None:
    with RedisServer(tmp_path, "--requirepass", "right") as server:
        url = f"redis://:{QUOTED}@127.0.0.1:{server.port}/0"
        registry = opened(url)
        told = Told(registry)
        await until(lambda: said, "the warning")
        with pytest.raises(RegistryError) as caught:
            await registry.endpoints()
        refused = (
            f"the registry redis://127.0.0.1:{server.port}/0 refuses us "
            f"(127.0.0.1:{server.port}: the password is wrong; correct it in [registry] url)"
        )
        assert str(caught.value) == refused
        assert said == [
            f"{refused}; what was known stays, and it is tried until it can be used",
        ]
        for text in (*said, str(caught.value), repr(caught.value), registry.url):
            assert "s3cret" not in text
        # It goes on trying: once the password is right, it is in.
        connection = f"redis://:right@127.0.0.1:{server.port}/0"
        await opened(connection).endpoints()
        subprocess.run(
            ["redis-cli", "-p", str(server.port), "config", "set", "requirepass", SECRET],
            env={**os.environ, "REDISCLI_AUTH": "right"},
            check=True,
            capture_output=True,
        )
        await told.until()


async def refused(registry: Registry) -> str:
    """Why a registry cannot be asked, from the address on."""
    with pytest.raises(RegistryError) as caught:
        await registry.endpoints()
    assert "is it running" not in str(caught.value), "it is, and has answered"
    assert "s3cret" not in f"{caught.value} {caught.value!r}"
    return str(caught.value).partition(" refuses us (")[2].partition(": ")[2].rstrip(")")


async def test_each_refusal_of_a_password_says_what_to_do(tmp_path: Path, opened: Opener) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "locked").mkdir()
    with RedisServer(tmp_path / "locked", "--requirepass", "right") as server:
        place = f"127.0.0.1:{server.port}"
        assert await refused(opened(f"redis://{place}")) == (
            "it wants a password, and [registry] url gives none; write :PASSWORD@ before the host "
            "there, or better ?password_file=PATH at the end"
        )
        wrong = "correct it in"
        assert await refused(opened(f"redis://{place}?password_file=secret")) == (
            f"the password is wrong; {wrong} the file secret"
        )
        assert await refused(opened(f"redis://alice:s3cret@{place}")) == (
            f"the user or password is wrong, or the user is off; {wrong} [registry] url"
        )
        assert await refused(opened(f"redis://alice@{place}?password_file=secret")) == (
            f"the user or password is wrong, or the user is off; {wrong} [registry] url "
            "or the file secret"
        )
    with RedisServer(tmp_path) as server:
        place = f"127.0.0.1:{server.port}"
        for given, url in {
            "the password": f"redis://:s3cret@{place}",
            "password_file": f"redis://{place}?password_file=secret",
        }.items():
            assert await refused(opened(url)) == (
                f"it has no password, and [registry] url gives one; take {given} out of the url, "
                "or set one in the server, with requirepass"
            )


async def test_a_server_that_repeats_what_it_was_sent_is_not_quoted(
    tmp_path: Path, opened: Opener, said: list[str]
) -> None:
    with RedisServer(tmp_path, "--rename-command", "AUTH", "") as server:
        assert b"s3cret" in server.ask("AUTH", "s3cret"), "this one does"
        registry = opened(f"redis://:s3cret@127.0.0.1:{server.port}")
        assert (await refused(registry)).startswith("it refuses the AUTH command; ")
        assert "s3cret" not in str(said)


async def test_the_password_comes_from_a_file_too(tmp_path: Path, opened: Opener) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    with RedisServer(tmp_path, "--requirepass", SECRET) as server:
        registry = opened(f"{server.url}?password_file=secret")
        assert await registry.endpoints() == []
        told = Told(registry)
        await told.until()


# A user with a password, beside the one without: while the server is frozen, a connection of this
# one is being let in for as long as the test wants.
ALICE = ("--user", "alice", "on", ">right", "~*", "&*", "+@all")


def connections(port: int) -> int:
    """How many connections to a port there are on this machine, accepted or not."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [(fields[2], fields[3]) for fields in map(str.split, lines)]
    return sum(
        int(remote.rpartition(":")[2], 16) == port for remote, state in ends if state == "01"
    )


async def connecting(server: RedisServer, opened: Opener, connected: bool) -> tuple[Registry, Told]:
    """One that follows a service, and whose second connection is on its way.

    Args:
        server: it is frozen from now on.
        opened: opens the registry.
        connected: whether the connection stands already, and waits to be let in.
    """
    registry = opened(f"redis://alice:right@127.0.0.1:{server.port}")
    await registry.endpoints()
    server.freeze()
    told = Told(registry)
    assert connections(server.port) == 1
    if connected:
        await until(lambda: connections(server.port) == 2, "the second connection")
    return registry, told


@pytest.mark.parametrize("connected", [False, True])
async def test_a_watch_that_ends_while_it_is_connecting_leaves_nothing_behind(
    tmp_path: Path, opened: Opener, said: list[str], connected: bool
) -> None:
    with RedisServer(tmp_path, *ALICE) as server:
        registry, told = await connecting(server, opened, connected)
        told.end()
        server.thaw()
        other = Told(registry, "products")
        await other.until()
        channels = server.ask("PUBSUB", "CHANNELS")
        assert b":products" in channels
        assert b":users" not in channels
        opened(server.url).announce(endpoint())
        again = Told(registry)
        await again.until("users-1")
        assert told.lists == []
        assert said == []


@pytest.mark.parametrize("connected", [False, True])
async def test_one_that_is_closed_while_it_is_connecting_leaves_no_connection(
    tmp_path: Path, opened: Opener, said: list[str], connected: bool
) -> None:
    with RedisServer(tmp_path, *ALICE) as server:
        registry, told = await connecting(server, opened, connected)
        registry.close()
        server.thaw()
        await until(lambda: not clients(server), "the end of all connections", 3.0)
        # Neither does one come later.
        await sleep(0.3)
        assert clients(server) == []
        assert told.lists == []
        assert said == []


async def test_databases_and_prefixes_are_apart(server: RedisServer, opened: Opener) -> None:
    base = f"redis://127.0.0.1:{server.port}"
    urls = [f"{base}/0", f"{base}/1", f"{base}/0?prefix=other"]
    told = [Told(opened(url)) for url in urls]
    for number, url in enumerate(urls):
        opened(url).announce(endpoint(f"users-{number}"))
    for number, each in enumerate(told):
        await each.until(f"users-{number}")


async def test_a_missed_message_is_noticed(server: RedisServer, opened: Opener) -> None:
    told = Told(opened(server.url))
    theirs = opened(server.url)
    theirs.announce(endpoint("users-1"))
    await told.until("users-1")
    # A change that nobody is told of.
    two = '{"service":"users","replica":"users-2","address":"127.0.0.1:1"}'
    server.ask("HSET", "txmesh:endpoints:users", "users-2", two)
    server.ask("HINCRBY", "txmesh:services", "users", "1")
    await until(lambda: told.names == ["users-1", "users-2"], "noticed by the heart-beat", 2.0)


async def test_what_went_back_to_an_older_state_is_mended(
    server: RedisServer, opened: Opener
) -> None:
    told = Told(opened(server.url, reread_s=1.0))
    opened(server.url, ttl_s=3.0).announce(endpoint("users-1", version="new"))
    await told.until("users-1")
    # Such as by a command that a frozen server carries out late.
    old = '{"service":"users","replica":"users-1","address":"127.0.0.1:1","version":"old"}'
    server.ask("HSET", "txmesh:endpoints:users", "users-1", old)
    await until(
        lambda: b"old" not in server.ask("HGET", "txmesh:endpoints:users", "users-1"), "mended", 2.0
    )
    await until(lambda: [e.version for e in told.lists[-1]] == ["new"], "told", 1.0)


async def test_all_is_read_now_and_then(server: RedisServer, opened: Opener) -> None:
    told = Told(opened(server.url, reread_s=1.0))
    await told.until()
    # Not even its version says that something has changed.
    one = '{"service":"users","replica":"users-1","address":"127.0.0.1:1"}'
    server.ask("HSET", "txmesh:endpoints:users", "users-1", one)
    await until(lambda: told.names == ["users-1"], "read", 3.0)


async def test_what_is_no_replica_is_ignored_and_said_once(
    server: RedisServer, opened: Opener, said: list[str]
) -> None:
    for name, text in (
        ("half", '{"service":"users","repl'),
        ("weightless", '{"service":"users","replica":"w","address":"x:1","weight":0}'),
        ("stranger", '{"service":"products","replica":"s","address":"x:1"}'),
    ):
        server.ask("HSET", "txmesh:endpoints:users", name, text)
    registry = opened(server.url, reread_s=1.0)
    told = Told(registry)
    opened(server.url).announce(endpoint("users-1"))
    await told.until("users-1")
    for number in range(3):
        server.ask("PUBLISH", "txmesh:changes:0:users", f"what is {number}?")
    await sleep(2.5)  # it is read twice more
    assert told.names == ["users-1"]
    assert len(said) == 3, said


async def test_a_server_that_turns_read_only_is_left(
    server: RedisServer, opened: Opener, said: list[str]
) -> None:
    registry = opened(server.url)
    told = Told(registry)
    registry.announce(endpoint())
    await told.until("users-1")
    server.ask("REPLICAOF", "127.0.0.1", str(free_port()))
    await until(lambda: said, "noticed", 3.0)
    assert "refuses us" in said[0]
    await sleep(2.0)  # many attempts
    assert len(said) == 1
    server.ask("REPLICAOF", "NO", "ONE")
    await until(lambda: any("is back" in line for line in said), "back", 4.0)
    assert len(told.lists[-1]) == 1


async def test_a_change_among_many_reaches_all_who_watch(
    server: RedisServer, opened: Opener
) -> None:
    replicas = 100
    theirs = opened(server.url)
    leases = [
        theirs.announce(endpoint(f"users-{number:03}", version="1")) for number in range(replicas)
    ]
    told = [Told(opened(server.url)) for _ in range(10)]

    async def all_told(true: Callable[[list[Endpoint]], bool], within_s: float) -> None:
        await until(
            lambda: all(each.lists and true(each.lists[-1]) for each in told), "told", within_s
        )

    await all_told(lambda found: len(found) == replicas, 5.0)
    before = [len(each.lists) for each in told]
    version = server.ask("HGET", "txmesh:services", "users")
    await sleep(3.5)  # every lease is renewed
    assert server.ask("HGET", "txmesh:services", "users") == version, "a renewal is no change"
    assert [len(each.lists) for each in told] == before
    leases[7].change(endpoint("users-007", version="2"))
    await all_told(lambda found: found[7].version == "2", 1.0)
    leases[7].withdraw()
    await all_told(lambda found: len(found) == replicas - 1, 1.0)


async def test_hundreds_that_enter_at_once_are_told_together(
    server: RedisServer, opened: Opener
) -> None:
    told = Told(opened(server.url))
    await told.until()
    theirs = opened(server.url)
    many = [endpoint(f"users-{number:04}") for number in range(500)]
    for each in many:
        theirs.announce(each)
    await until(lambda: len(told.lists[-1]) == 500, "all", 10.0)
    assert len(told.lists) < 100
    assert told.lists[-1] == many


def test_a_configuration_is_checked_without_a_reactor() -> None:
    code = """
import random, sys
from pathlib import Path
from twisted.internet.task import Clock
from balancer.discovery import RegistrySettings, open_registry
open_registry(RegistrySettings(url="redis://127.0.0.1:1"), Path(), reactor=None, clock=Clock(),
              rng=random.Random()).close()
print("twisted.internet.reactor" in sys.modules, "txredisapi" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "False False\n", done.stderr
