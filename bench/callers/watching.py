"""Callers that make no call and watch all services, each as a process of its own would."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial

from balancer import ConfigFile, Endpoint
from balancer.transport.reactor import install
from clients import Mesh

from ..cpu import cpu_ns
from ..registry import REPLICAS, SERVICES, Watched
from ..window import Order

_reactor = install()
_LOOK_S = 0.05


class _Caller:
    """One that watches; it takes note of how old each change is that it is told of."""

    def __init__(self, url: str, heard: Callable[[float, float], None]) -> None:
        self._mesh = Mesh(ConfigFile(f'[registry]\nurl = "{url}"\nknown = ""\n'))
        self._known: dict[str, set[Endpoint]] = {}
        self._heard = heard
        for service in SERVICES:
            # Both what a caller does with the news and what is measured of them.
            self._mesh.fleet(service)
            self._mesh.registry.watch(service, partial(self._told, service))

    def replicas(self) -> int:
        return sum(map(len, self._known.values()))

    def _told(self, service: str, endpoints: Sequence[Endpoint]) -> None:
        now = time.monotonic()
        before = self._known.get(service)
        self._known[service] = set(endpoints)
        if before is not None:
            for endpoint in self._known[service] - before:
                self._heard(endpoint.started, now)


def call(order: Order) -> Watched:
    """Watch.

    Args:
        order: for each caller the URL, as its addresses; and for how long.
    """
    # By the instant at which a change was made: when each caller heard of it.
    heard: dict[float, list[float]] = {}
    callers: list[_Caller] = []
    found: list[Watched] = []

    def note(made: float, now: float) -> None:
        heard.setdefault(made, []).append(now - made)

    def begin() -> None:
        callers.extend(_Caller(url, note) for url in order.addresses)
        wait()

    def wait() -> None:
        if all(caller.replicas() == REPLICAS for caller in callers):
            _reactor.callLater(order.warm_up_s, opened)
        else:
            _reactor.callLater(_LOOK_S, wait)

    def opened() -> None:
        heard.clear()
        _reactor.callLater(
            order.seconds, shut, time.monotonic(), cpu_ns(os.getpid()), cpu_ns(order.pids[0])
        )

    def shut(began: float, own_ns: int, redis_ns: int) -> None:
        now = time.monotonic()
        found.append(
            Watched(
                callers=len(callers),
                seconds=now - began,
                cpu_ns=cpu_ns(os.getpid()) - own_ns,
                redis_ns=cpu_ns(order.pids[0]) - redis_ns,
                # One that was made just now may still be on its way.
                delays_s=[
                    max(delays) if len(delays) == len(callers) else now - made
                    for made, delays in heard.items()
                    if began <= made < now - 1.0
                ],
            )
        )
        _reactor.stop()

    _reactor.callWhenRunning(begin)
    _reactor.run()
    return found[0]
