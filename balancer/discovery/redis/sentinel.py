"""Which server is the master: the Sentinels are asked, all at once.

Most of those that answer are believed. One that was cut off may name a master that is none any more
and answer before the others, so these have a little longer. One that is the only one to answer is
believed too; where what it names is of no use, another that is named is tried next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ...clock import Clock
from .connect import Lost, connect, log_in, lost
from .url import RedisUrl

# How long a Sentinel may take to answer (seconds), connecting included.
ASK_S = 1.0
# How long the others have when one has answered (seconds).
GRACE_S = 0.25


def choose(named: Sequence[tuple[str, int]], useless: tuple[str, int] | None) -> tuple[str, int]:
    """Whom to try. Pure.

    Args:
        named: what each Sentinel said, the first answer first; at least one.
        useless: what was of no use just now; it is tried again only if nothing else is named.

    Returns:
        What most said; of what as many said, what was said first.
    """
    others = [address for address in named if address != useless]
    return Counter(others or named).most_common(1)[0][0]


def agreed(named: Sequence[tuple[str, int]], sentinels: int) -> tuple[str, int] | None:
    """What more than half of all Sentinels said, if they did. Pure.

    Args:
        named: what each said that answered.
        sentinels: how many there are.
    """
    for address, count in Counter(named).most_common(1):
        if 2 * count > sentinels:
            return address
    return None


async def ask_sentinels(reactor: Any, clock: Clock, url: RedisUrl) -> list[tuple[str, int]]:
    """Ask for the master's address.

    Args:
        reactor: where the sockets live.
        clock: for the time that a Sentinel has.
        url: of Sentinels.

    Returns:
        (host, port) by each that answered soon enough, the first first; at least one.

    Raises:
        Lost: no Sentinel answers, or none knows the master.
    """
    enough: Deferred[None] = Deferred()
    named: list[tuple[str, int]] = []
    reasons: list[Lost] = []

    def stop() -> None:
        if not enough.called:
            enough.callback(None)

    def knows(address: tuple[str, int]) -> None:
        named.append(address)
        if len(named) == 1:
            waits.append(clock.callLater(GRACE_S, stop))
        check()

    def failed(failure: Any, at: str) -> None:
        reasons.append(lost(failure.value, at))
        check()

    def check() -> None:
        if len(named) + len(reasons) == len(url.hosts):
            stop()

    waits: list[IDelayedCall] = []

    asking = [
        ensureDeferred(_ask(reactor, host, port, url)).addTimeout(
            ASK_S, cast("IReactorTime", clock)
        )
        for host, port in url.hosts
    ]
    for each, (host, port) in zip(asking, url.hosts, strict=True):
        each.addCallbacks(knows, failed, errbackArgs=(f"{host}:{port}",))
    try:
        await enough
    finally:
        for wait in waits:
            if wait.active():
                wait.cancel()
        found = list(named)
        for each in asking:
            each.cancel()
    if not found:
        # What one of them said tells more than that another is gone.
        said = min(reasons, key=lambda reason: not reason.refused)
        raise Lost(f"no Sentinel names the master: {said}", refused=said.refused)
    return found


async def _ask(reactor: Any, host: str, port: int, url: RedisUrl) -> tuple[str, int]:
    protocol = await connect(reactor, host, port)
    try:
        try:
            address = await protocol.sentinel_get_master_addr_by_name(url.master)
        except Exception as error:
            # Sentinels have passwords of their own; where they have, it is the servers' here.
            if not url.password or not str(error).startswith("NOAUTH"):
                raise
            await log_in(protocol, url, f"{host}:{port}")
            address = await protocol.sentinel_get_master_addr_by_name(url.master)
    finally:
        protocol.transport.abortConnection()
    if not address:
        raise Lost(f"the Sentinel at {host}:{port} knows no master {url.master!r}", refused=True)
    return address[0].decode("ascii"), int(address[1])
