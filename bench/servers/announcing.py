"""A Redis with a thousand replicas in it, all of them renewing, and one change a second.

All leases are held by one process; to Redis they are what a thousand would be. A change carries the
instant at which it was made, so that whoever hears of it knows how long it took.
"""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from balancer import Endpoint, MonotonicClock
from balancer.discovery import RegistrySettings, open_registry
from balancer.transport.reactor import install

from ..registry import REPLICAS, SERVICES

_reactor = install()
_CHANGE_S = 1.0


def _start_redis() -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Whatever becomes of this process, the server does not outlive it.
    process = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL", "redis-server"),
            *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    return process, port


def serve(announce: Callable[[str], None]) -> None:
    """Hold the leases until it is ended.

    Args:
        announce: told the URL and the server's process id, once all have been entered.
    """
    redis, port = _start_redis()
    url = f"redis://127.0.0.1:{port}/0"
    clock = MonotonicClock(_reactor)
    registry = open_registry(
        RegistrySettings(url=url), Path(), reactor=_reactor, clock=clock, rng=random.Random(1)
    )
    endpoints = [
        Endpoint(
            service=SERVICES[number % len(SERVICES)],
            replica=f"replica-7d9f-{number:05d}",
            address=f"10.0.{number >> 8}.{number & 255}:8080",
            admin=f"10.0.{number >> 8}.{number & 255}:8081",
            pid=number + 1,
            version="2026.11.20",
            zone="eu-1a",
        )
        for number in range(REPLICAS)
    ]
    leases = [registry.announce(endpoint) for endpoint in endpoints]
    rng = random.Random(2)

    def change() -> None:
        _reactor.callLater(_CHANGE_S, change)
        number = rng.randrange(REPLICAS)
        leases[number].change(replace(endpoints[number], started=time.monotonic()))

    def entered(found: list[Endpoint]) -> None:
        if len(found) < REPLICAS:
            _reactor.callLater(0.1, look)
            return
        announce(f"{url} {redis.pid}")
        change()

    def look() -> None:
        registry.endpoints().addCallbacks(entered, lambda _: _reactor.callLater(0.1, look))

    _reactor.callWhenRunning(look)
    try:
        _reactor.run()
    finally:
        redis.kill()
        redis.wait()
