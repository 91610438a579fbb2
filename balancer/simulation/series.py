"""What changes in the course of a run, noted each second."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from .calls import Calls
from .servers import Server
from .world import World


def note_share(world: World, server: Server, lasts_s: float) -> list[float]:
    """Have it noted what share of all attempts a server is given in each second.

    Args:
        world: whose server it is.
        server: which.
        lasts_s: for so long, from the beginning.

    Returns:
        The shares; it fills while the world runs.
    """
    shares: list[float] = []
    before = (0, 0)

    def note() -> None:
        nonlocal before
        now = server.attempts, sum(other.attempts for other in world.servers.values())
        given, of_all = (count - earlier for count, earlier in zip(now, before, strict=True))
        before = now
        shares.append(given / max(1, of_all))

    _each_second(world, lasts_s, note)
    return shares


def note_latency(world: World, calls: Calls, lasts_s: float) -> list[float]:
    """Have the mean latency noted of the calls that end in each second; 0.0 where none does.

    Args:
        world: where they are made.
        calls: the record.
        lasts_s: for so long, from the beginning.

    Returns:
        The means, in seconds; it fills while the world runs.
    """
    means: list[float] = []
    noted = 0

    def note() -> None:
        nonlocal noted
        latencies_s = calls.latencies_s[noted:]
        noted += len(latencies_s)
        means.append(fmean(latencies_s) if latencies_s else 0.0)

    _each_second(world, lasts_s, note)
    return means


def _each_second(world: World, lasts_s: float, note: Callable[[], None]) -> None:
    for second in range(1, int(lasts_s) + 1):
        world.after(second, note)
