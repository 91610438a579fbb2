"""A replica of several processes: one for its callers and its operators, whatever its workers do."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import treq
from twisted.internet.defer import Deferred

from services.kit.workers.messages import LOG_BYTES
from tests.processes import Child, until
from tests.workers import (
    SERVICE,
    Load,
    Place,
    alive,
    connected,
    counted,
    place,
    sockets_of,
    workers_of,
)

TWO = ("--workers", "2")
# Each worker has decided 70 MB of late, more than a message to its master may hold.
MUCH = """
from services.kit.application import Application

ENTRY = b'{"entry":"call","at_s":%d,"why":"' + b"x" * 7000 + b'"}\\n'


def decided(self):
    return b'{"began":1.0}\\n' + b"".join(ENTRY % number for number in range(10_000))


Application.decided = decided
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as made:
        yield made


async def taken_over(child: Child, before: list[int]) -> list[int]:
    """Wait until a reload is over; the new workers."""

    def new() -> list[int]:
        return [pid for pid in workers_of(child) if pid not in before]

    await until(lambda: len(new()) == 2, "two new workers")
    await until(lambda: sum(" takes calls" in e["message"] for e in child.events()) >= 4, "theirs")
    return new()


async def test_the_replica_is_one_whatever_its_workers(here: Place) -> None:
    child = here.start("say-1", *TWO, "--weight", "2")
    address, admin = await child.ready()
    assert len(workers_of(child)) == 2
    mesh = here.mesh()
    try:
        [endpoint] = await mesh.registry.endpoints()
        assert (endpoint.replica, endpoint.address, endpoint.admin) == ("say-1", address, admin)
        assert (endpoint.pid, endpoint.weight) == (child.pid, 2)
        load = Load(mesh, rate=200)
        await load.more(100)
        await load.stop()
        assert load.failures == []
        name = 'mesh_requests_total{route="say.say",status="200"}'
        assert await counted(admin, name) == load.calls
        name = 'mesh_request_seconds_bucket{le="+Inf",route="say.say"}'
        assert await counted(admin, name) == load.calls
        assert await counted(admin, 'mesh_workers{state="serving"}') == 2
        ready = await treq.get(f"http://{admin}/health/ready")
        assert await ready.json() == {"status": "ready"}
        decisions = await treq.get(f"http://{admin}/decisions")
        lines = (await decisions.text()).splitlines()
        assert len(lines) == 1  # two headers have become one; this service calls nobody
        assert '"caller":"say-1"' in lines[0]
    finally:
        mesh.close()
    child.signal(signal.SIGTERM)
    assert await child.ended() == 0
    assert child.event("has left after") is not None


async def test_of_more_decisions_than_can_be_told_the_newest_are(here: Place) -> None:
    here.write(SERVICE.format(text="old") + MUCH)
    child = here.start("say-1", *TWO)
    _, admin = await child.ready()
    answer = await treq.get(f"http://{admin}/decisions", persistent=False)
    first, *entries = (await answer.content()).splitlines()
    assert sum(map(len, entries)) <= 2 * LOG_BYTES
    assert len(entries) >= 2 * (LOG_BYTES // 7100)
    assert json.loads(first)["left_out"] == 20_000 - len(entries)
    times = [json.loads(entry)["at_s"] for entry in entries]
    assert times == sorted(times)
    assert times[-2:] == [9_999, 9_999]


async def test_connections_are_shared_evenly_and_again_when_a_worker_was_replaced(
    here: Place,
) -> None:
    child = here.start("say-1", *TWO)
    address, _ = await child.ready()
    # Each says so when it begins to accept; one that has not begun gets none.
    begins = f" starting on {address.rpartition(':')[2]}"
    await until(lambda: [begins in e["message"] for e in child.events()].count(True) == 2, "both")
    pids = workers_of(child)
    idle = [sockets_of(pid) for pid in pids]
    kept = connected(address, 20)

    def shares() -> list[int]:
        return [sockets_of(pid) - less for pid, less in zip(pids, idle, strict=True)]

    await until(lambda: sum(shares()) == 20, "all accepted")
    assert shares() == [10, 10]
    for each in kept:
        each.close()

    mesh = here.mesh()
    load = Load(mesh, rate=400)
    try:
        await load.more(100)
        os.kill(pids[0], signal.SIGKILL)
        await until(lambda: len(set(workers_of(child)) - set(pids)) == 1, "another one")
        [new] = set(workers_of(child)) - set(pids)
        # Nobody has reason to connect anew; it gets some all the same.
        await until(lambda: alive(new) and sockets_of(new) > idle[0], "its share")
        await load.stop()
        print(f"{load.calls} calls over the death of a worker, {len(load.failures)} failed")
        assert load.failures == []
    finally:
        mesh.close()


async def test_workers_inherit_only_what_they_need(here: Place) -> None:
    child = here.start("say-1", *TWO)
    _, admin = await child.ready()
    port = int(admin.rpartition(":")[2])
    listening = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if int(line.split()[1].rpartition(":")[2], 16) == port
    }
    assert listening
    for pid in workers_of(child):
        held = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        assert not {f"socket:[{inode}]" for inode in listening} & set(held)
        assert not [name for name in held if "leases" in name]
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        assert b"mesh-say" in line
        assert b"--worker" in line


@pytest.mark.parametrize("reactor", ["mesh", "epoll", "poll", "select"])
async def test_sighup_brings_new_code_and_loses_no_call(here: Place, reactor: str) -> None:
    """Calls that may not be repeated go on all the time."""
    child = here.start("say-1", *TWO, reactor=reactor)
    await child.ready()
    before = workers_of(child)
    mesh = here.mesh()
    load = Load(mesh, once=True)
    try:
        await load.more(50)
        here.write(SERVICE.format(text="new"))
        child.signal(signal.SIGHUP)
        await taken_over(child, before)
        await until(lambda: load.texts.get("new", 0) > 100, "the new code's answers")
        await load.stop()
        print(f"{load.calls} calls over a reload, {len(load.failures)} failed; {load.texts}")
        assert load.failures == []
        fleet = mesh.fleet("say")
        assert len(fleet.available) == 1  # nobody was told that the replica leaves
    finally:
        mesh.close()
    # Its connections are gone: callers' are used, or closed with the caller.
    await until(lambda: not any(alive(pid) for pid in before), "the old ones have left")


async def test_what_does_not_start_costs_nothing(here: Place) -> None:
    """One refused reload after the other, and at the end it can be mended."""
    child = here.start("say-1", *TWO)
    await child.ready()
    before = workers_of(child)
    mesh = here.mesh()
    load = Load(mesh, once=True)
    try:
        for code, config, words in (
            ("this is no Python", "", "say.py:1"),
            ("import nothing_of_that_name", "", "ModuleNotFoundError at "),
            (SERVICE.format(text="new"), "[server]\nidle = 3\n", "unknown key 'idle' in [server]"),
            ("import os; os._exit(7)", "", "ended with status 7"),
        ):
            here.write(code)
            here.configure(config)
            child.signal(signal.SIGHUP)
            await until(partial(refused, child, words), f"{words}: the refusal")
            await load.more(50)
            await until(lambda: workers_of(child) == before, "the old ones alone")
        await load.stop()
        assert load.failures == []
        assert load.texts.keys() == {"old"}
        here.configure()
        here.write(SERVICE.format(text="mended"))
        child.signal(signal.SIGHUP)
        await taken_over(child, before)
    finally:
        mesh.close()


def refused(child: Child, words: str) -> bool:
    """Whether a reload has failed for this reason."""
    told = (event["message"] for event in child.events())
    return any("the reload failed" in message and words in message for message in told)


@pytest.mark.parametrize("whom", ["the master", "the whole group"])
async def test_sigterm_under_load_loses_no_call(here: Place, whom: str) -> None:
    stays = here.start("stays", *TWO)
    leaves = here.start("leaves", *TWO)
    await stays.ready()
    await leaves.ready()
    mesh = here.mesh()
    load = Load(mesh, once=True)
    try:
        await load.more(100)
        workers = workers_of(leaves)
        if whom == "the whole group":
            for pid in workers:
                os.kill(pid, signal.SIGTERM)
        leaves.signal(signal.SIGTERM)
        assert await leaves.ended() == 0
        await load.more(50)
        await load.stop()
        print(f"{load.calls} calls over the end of a replica, {len(load.failures)} failed")
        assert load.failures == []
        assert not any(alive(pid) for pid in workers)
    finally:
        mesh.close()


async def test_a_worker_that_is_told_to_leave_is_replaced_without_a_loss(here: Place) -> None:
    child = here.start("say-1", *TWO)
    await child.ready()
    one, other = workers_of(child)
    mesh = here.mesh()
    load = Load(mesh, once=True)
    try:
        await load.more(100)
        os.kill(one, signal.SIGTERM)
        await until(lambda: len(set(workers_of(child)) - {one, other}) == 1, "another one")
        await load.more(100)
        await load.stop()
        assert load.failures == []
        assert other in workers_of(child)
    finally:
        mesh.close()


async def test_the_only_worker_that_is_told_to_leave_leaves_no_gap(here: Place) -> None:
    """Such as by what looks for memory to free: whoever connects finds somebody all the while."""
    child = here.start("say-1", "--workers", "1")
    address, _ = await child.ready()
    [one] = workers_of(child)
    statuses: Counter[int] = Counter()
    enough = False

    async def ask() -> None:
        while not enough:
            answer = await treq.get(f"http://{address}/v1/say", persistent=False, timeout=5.0)
            await answer.content()
            statuses[answer.code] += 1

    # It keeps one that leaves from having left.
    [idle] = connected(address, 1)
    with idle:
        idle.sendall(b"GET /v1/say HTTP/1.1\r\nHost: a\r\n\r\n")
        os.kill(one, signal.SIGTERM)
        asking = Deferred.fromCoroutine(ask())
        await until(lambda: child.event("was told to leave, and serves until"), "it asks")
        await until(lambda: child.event("worker 2 takes calls"), "another one")
        before = statuses[200]
        await until(lambda: statuses[200] > before + 20, "answers of the other one")
        enough = True
        await asking
    assert set(statuses) == {200}
    await until(lambda: not alive(one), "the first has left")


async def test_reload_upon_reload_and_an_end_in_the_middle(here: Place) -> None:
    child = here.start("say-1", *TWO)
    # A signal that comes while it starts ends nothing.
    await until(lambda: child.event("starting up"), "its first word")
    child.signal(signal.SIGHUP)
    child.signal(signal.SIGUSR1)
    await child.ready()
    before = workers_of(child)
    for text in ("second", "third"):
        here.write(SERVICE.format(text=text))
        child.signal(signal.SIGHUP)
        await until(lambda: len(workers_of(child)) > 2, "new ones")
    mesh = here.mesh()
    load = Load(mesh, rate=100)
    try:
        await until(lambda: load.texts.get("third"), "the last code")
        await load.stop()
        assert load.failures == []
        # The second reload has them hurry: they do not wait for idle connections any longer.
        await until(lambda: not set(before) & set(workers_of(child)), "the first ones' end", 10.0)
    finally:
        mesh.close()
    known = set(workers_of(child))
    child.signal(signal.SIGHUP)
    await until(lambda: set(workers_of(child)) - known, "those of a reload")
    workers = workers_of(child)
    child.signal(signal.SIGTERM)
    assert await child.ended(within_s=15.0) == 0
    assert not any(alive(pid) for pid in workers)


async def test_logs_are_opened_anew_by_all(here: Place) -> None:
    log = here.folder / "say.log"
    child = here.start("say-1", *TWO, "--log-file", "say.log")
    await until(lambda: log.exists() and " serves say on " in log.read_text(), "ready")
    log.rename(here.folder / "say.log.1")
    child.signal(signal.SIGUSR1)
    told = "the log file was opened anew"
    await until(lambda: log.exists() and log.read_text().count(told) == 3, "three new files")
    child.signal(signal.SIGTERM)
    assert await child.ended() == 0
    for name in ("say.log", "say.log.1"):
        for line in (here.folder / name).read_text().splitlines():
            assert line.startswith("{")
            assert line.endswith("}")
    assert '"worker": 1' in (here.folder / "say.log.1").read_text()
    assert child.log.read_text() == ""


async def test_a_single_process_outlives_the_signals_of_workers(here: Place) -> None:
    child = here.start("say-1", "--log-file", "say.log")
    log = here.folder / "say.log"
    await until(lambda: log.exists() and " serves say on " in log.read_text(), "ready")
    child.signal(signal.SIGHUP)
    await until(lambda: "without --workers" in log.read_text(), "what to do")
    log.rename(here.folder / "say.log.1")
    child.signal(signal.SIGUSR1)
    await until(lambda: log.exists() and "opened anew" in log.read_text(), "the new file")
    child.signal(signal.SIGTERM)
    assert await child.ended() == 0


async def test_workers_stand_by_with_their_replica(here: Place) -> None:
    child = here.start("say-1", *TWO, "--standby", "announced")
    _, admin = await child.ready()
    mesh = here.mesh()
    try:
        [endpoint] = await mesh.registry.endpoints()
        assert endpoint.standby
        answer = await treq.post(f"http://{admin}/announce")
        assert await answer.json() == {"status": "ready"}
        [endpoint] = await mesh.registry.endpoints()
        assert not endpoint.standby
    finally:
        mesh.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("this is no Python", "worker "),
        (SERVICE.format(text="x").replace("Service(Say)", "Service(Say, opens=1/0)"), "ZeroDiv"),
    ],
)
async def test_a_replica_whose_workers_cannot_start_says_why_and_fails(
    here: Place, code: str, words: str
) -> None:
    here.write(code)
    child = here.start("say-1", *TWO)
    assert await child.ended() != 0
    assert words in child.log.read_text() or "SyntaxError" in child.log.read_text()
