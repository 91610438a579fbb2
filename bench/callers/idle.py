"""One connection to each of many replicas, used and then left idle: what it weighs at both ends.

All the replicas are one process here, so that all the other ends are in one place. Each has a pool
of its own, as in production.
"""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.python.failure import Failure

from balancer import CallError, MonotonicClock, Reply
from balancer.transport import Pool, PoolSettings, Sweep
from balancer.transport.reactor import install
from balancer.wire import WireLimits, probe_bytes

from ..cpu import cpu_ns
from ..items import IDS, IN_FLIGHT
from ..memory import CONNECTIONS, Connected
from ..window import Order, WrongAnswer

_reactor = install()

# So many first, unmeasured: code is loaded by them, and memory is taken that later ones share.
_WARM_UP = 4 * IN_FLIGHT
_REQUEST = f"GET /v1/items/{IDS[0]} HTTP/1.1\r\nHost: items\r\n\r\n".encode("ascii")


class _Attempt:
    """Asks once."""

    def __init__(self, request: bytes) -> None:
        self.carrier: Any = None
        self.done: Deferred[None] = Deferred()
        self._request = request

    def payload(self) -> bytes:
        return self._request

    def replied(self, reply: Reply) -> None:
        if 200 <= reply.status < 300:
            self.done.callback(None)
        else:
            self.done.errback(WrongAnswer(f"status {reply.status}"))

    def failed(self, error: CallError) -> None:
        self.done.errback(error)


async def _ask(pools: Sequence[Pool], request: bytes = _REQUEST) -> None:
    waiting = iter(pools)
    while some := list(islice(waiting, IN_FLIGHT)):
        attempts = [_Attempt(request) for _ in some]
        for pool, attempt in zip(some, attempts, strict=True):
            pool.start(attempt)
        await gatherResults([attempt.done for attempt in attempts], consumeErrors=True)


class _Levels(NamedTuple):
    """Memory and CPU time at one moment: the caller's, the server's, the kernel's."""

    caller_bytes: int
    server_bytes: int
    kernel_bytes: int
    caller_ns: int
    server_ns: int


def _levels(server: int) -> _Levels:
    gc.collect()
    own = os.getpid()
    return _Levels(
        _resident_bytes(own), _resident_bytes(server), _slab_bytes(), cpu_ns(own), cpu_ns(server)
    )


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def _slab_bytes() -> int:
    """What the kernel keeps in small objects, such as sockets, of the whole machine."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Slab:"))


async def _measure(order: Order) -> Connected:
    clock = MonotonicClock(_reactor)
    sweep = Sweep(clock, 1.0)
    (address,), (server,) = order.addresses, order.pids

    def make(count: int) -> list[Pool]:
        return [
            Pool(
                address,
                reactor=_reactor,
                clock=clock,
                sweep=sweep,
                settings=PoolSettings(),
                limits=WireLimits(),
            )
            for _ in range(count)
        ]

    early = make(_WARM_UP)
    await _ask(early)
    before = _levels(server)
    pools = make(CONNECTIONS)
    await _ask(pools)
    cold = _levels(server)
    await _ask(pools)
    warm = _levels(server)
    await _ask(pools, probe_bytes("items", b"bench"))
    probed = _levels(server)
    return Connected(
        caller_bytes=(warm.caller_bytes - before.caller_bytes) / CONNECTIONS,
        server_bytes=(warm.server_bytes - before.server_bytes) / CONNECTIONS,
        kernel_bytes=(cold.kernel_bytes - before.kernel_bytes) / CONNECTIONS,
        cold_caller_us=(cold.caller_ns - before.caller_ns) / CONNECTIONS / 1000,
        cold_server_us=(cold.server_ns - before.server_ns) / CONNECTIONS / 1000,
        warm_caller_us=(warm.caller_ns - cold.caller_ns) / CONNECTIONS / 1000,
        warm_server_us=(warm.server_ns - cold.server_ns) / CONNECTIONS / 1000,
        probe_caller_us=(probed.caller_ns - warm.caller_ns) / CONNECTIONS / 1000,
        probe_server_us=(probed.server_ns - warm.server_ns) / CONNECTIONS / 1000,
    )


def call(order: Order) -> Connected:
    """Connect, and tell what it cost.

    Args:
        order: where; its times do not matter.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found: list[Connected] = []
    failures: list[Failure] = []

    def start() -> None:
        done = ensureDeferred(_measure(order)).addCallbacks(found.append, failures.append)
        done.addBoth(lambda _: _reactor.stop())

    _reactor.callWhenRunning(start)
    _reactor.run()
    for failure in failures:
        failure.raiseException()
    return found[0]
