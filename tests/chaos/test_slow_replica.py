"""One replica of three goes bad without dying, on real sockets: calls soon go elsewhere.

The caller makes calls at a constant rate, whatever the answers do. A replica is slowed to a tenth,
by signals as a machine that has no time for it or by its own handler, or it fails each call at
once. After five seconds it has next to no share of the attempts, and no call has failed.
"""

from __future__ import annotations

import shutil
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from balancer.policy import Replica
from clients import Mesh
from tests.processes import Child, children, sleep, until

SOURCE = Path(__file__).with_name("lame")
RATE = 200
BAD = "lame-1"


class Load:
    """Calls at a constant rate."""

    def __init__(self, mesh: Mesh, contract: Any) -> None:
        self.work = mesh.client(contract).work
        self.failures: list[str] = []
        self.latencies_s: list[float] = []
        self._seconds = mesh.clock.seconds
        self._open: set[Deferred[Any]] = set()
        self._loop = LoopingCall.withCount(self._tick)
        self._loop.start(1 / RATE)

    def _tick(self, due: int) -> None:
        for _ in range(due):
            call = self.work()
            self._open.add(call)
            call.addBoth(self._ended, call, self._seconds())

    def _ended(self, result: Any, call: Deferred[Any], began: float) -> None:
        self._open.discard(call)
        self.latencies_s.append(self._seconds() - began)
        if isinstance(result, Failure):
            self.failures.append(result.getErrorMessage())

    def p99_ms(self) -> float:
        """Of the calls since the last time."""
        ended, self.latencies_s = sorted(self.latencies_s), []
        return ended[int(0.99 * len(ended))] * 1000

    async def stop(self) -> None:
        self._loop.stop()
        await gatherResults(list(self._open))


class Pulses:
    """Lets a process run for a tenth of the time."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._turn = 0
        self._loop = LoopingCall(self._pulse)
        self._loop.start(0.01)

    def _pulse(self) -> None:
        self._turn = (self._turn + 1) % 10
        self._child.signal(signal.SIGCONT if self._turn == 0 else signal.SIGSTOP)

    def stop(self) -> None:
        self._loop.stop()
        self._child.signal(signal.SIGCONT)


class Trio:
    """Three replicas and a caller.

    Attributes:
        mesh: the caller's.
        children: by name.
    """

    def __init__(self, mesh: Mesh, replicas: dict[str, Child]) -> None:
        self.mesh = mesh
        self.children = replicas

    def replicas(self) -> list[Replica]:
        return list(self.mesh.fleet("lame").replicas.values())

    def attempts(self) -> tuple[int, int]:
        """Of the bad one, and of all."""
        every = self.replicas()
        bad = next(replica for replica in every if replica.endpoint.replica == BAD)
        return bad.attempts, sum(replica.attempts for replica in every)

    async def share_of_bad(self, load: Load) -> float:
        """What the bad one gets of the attempts, from five seconds on."""
        await sleep(5.0)
        load.p99_ms()
        bad, every = self.attempts()
        await sleep(4.0)
        bad_then, every_then = self.attempts()
        assert every_then - every > 3 * RATE
        share = (bad_then - bad) / (every_then - every)
        # For whoever reads the output; how long things take is never asserted.
        print(f"share of the bad one {share:.1%}, p99 of all {load.p99_ms():.1f} ms")
        return share


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "lame"
    shutil.copytree(SOURCE, folder)
    monkeypatch.syspath_prepend(str(folder))
    return import_module("lame").Lame


async def run(folder: Path, contract: Any, bad: dict[str, str], *, pulses: bool = False) -> float:
    """The share of a bad replica, which is made so by variables of its environment."""
    with children(folder, path=folder) as start:
        started = {
            name: start("lame", name, environ=bad if name == BAD else {})
            for name in (BAD, "lame-2", "lame-3")
        }
        for child in started.values():
            await child.ready()
        mesh = Mesh(registry=f"file:{folder}/.mesh/leases")
        trio = Trio(mesh, started)
        load = Load(mesh, contract)
        pulse = None
        try:
            await until(lambda: len(trio.replicas()) == 3, "three replicas")
            if pulses:
                await sleep(1.0)
                pulse = Pulses(started[BAD])
            share = await trio.share_of_bad(load)
        finally:
            if pulse is not None:
                pulse.stop()
            await load.stop()
            mesh.close()
        assert load.failures == []
        return share


async def test_three_good_replicas_share_the_calls(tmp_path: Path, contract: Any) -> None:
    # What the others are to be compared with, in share and in p99.
    assert 0.1 < await run(tmp_path / "lame", contract, {}) < 0.6


async def test_a_replica_slowed_by_signals_loses_its_share(tmp_path: Path, contract: Any) -> None:
    assert await run(tmp_path / "lame", contract, {}, pulses=True) <= 0.05


async def test_a_replica_with_a_busy_handler_loses_its_share(tmp_path: Path, contract: Any) -> None:
    assert await run(tmp_path / "lame", contract, {"LAME_BUSY_MS": "10"}) <= 0.05


async def test_a_replica_that_fails_at_once_gets_no_share(tmp_path: Path, contract: Any) -> None:
    assert await run(tmp_path / "lame", contract, {"LAME_FAILS": "1"}) < 0.05
