"""What changes in the course of a run, noted each second."""

from __future__ import annotations

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

    for second in range(1, int(lasts_s) + 1):
        world.after(second, note)
    return shares
