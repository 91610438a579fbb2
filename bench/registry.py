"""What it costs to watch a registry in Redis, and how soon a change is known everywhere.

A thousand replicas of three services renew their leases; one of them changes each second. First
fifty callers watch in one process (they share its core: apart they would hear sooner), and the time
is taken until the last of them knows. Then one caller watches alone, and its CPU time is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .cpu import cores
from .process import Child
from .window import Order

REPLICAS = 1000
SERVICES = ("users", "products", "greetings")
CALLERS = 50
_WARM_UP_S = 2.0
_MANY_S = 20.0
# At least twice the time after which a caller reads everything anew.
_ALONE_S = 40.0
_WAIT_S = 120.0


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What one process of callers showed.

    Attributes:
        callers: how many watched in it.
        seconds: for how long.
        cpu_ns: CPU time of the process.
        redis_ns: CPU time of Redis meanwhile, for all of its clients.
        delays_s: of each change: how long until the last caller knew; for one that somebody never
            heard of, how long that was.
    """

    callers: int
    seconds: float
    cpu_ns: int
    redis_ns: int
    delays_s: list[float]

    @property
    def core_ratio(self) -> float:
        """What part of one core the process took."""
        return self.cpu_ns / 1e9 / self.seconds

    @property
    def redis_ratio(self) -> float:
        """What part of one core Redis took."""
        return self.redis_ns / 1e9 / self.seconds


class Watching(NamedTuple):
    """Both measurements."""

    many: Watched
    alone: Watched

    @property
    def slowest_s(self) -> float:
        """The time until every caller knew of the change that took the longest."""
        return max(self.many.delays_s)


def measure_registry(progress: Callable[[str], None]) -> Watching:
    """Measure both once.

    Args:
        progress: told before each.

    Raises:
        PeerFailed: Redis is not installed, or a process broke.
    """
    server_core, caller_core = cores()
    progress(f"registry, {REPLICAS} replicas")
    with Child(server_core, "servers", "announcing") as announcing:
        url, pid = announcing.hear(_WAIT_S).decode("ascii").split()

        def watch(callers: int, seconds: float) -> Watched:
            with Child(caller_core, "callers", "watching") as caller:
                caller.hear(_WAIT_S)
                order = Order(
                    addresses=[url] * callers,
                    pids=[int(pid)],
                    warm_up_s=_WARM_UP_S,
                    seconds=seconds,
                )
                caller.tell(msgspec.json.encode(order))
                return msgspec.json.decode(caller.hear(_WAIT_S + seconds), type=Watched)

        progress(f"registry, {CALLERS} callers")
        many = watch(CALLERS, _MANY_S)
        progress("registry, one caller")
        return Watching(many, watch(1, _ALONE_S))
