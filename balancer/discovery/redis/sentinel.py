"""Which server is the master: the Sentinels are asked, all at once.

The first that knows it is believed. One that was cut off may name a master that is none any more;
that one is gone or refuses to be written to, and the next attempt asks again.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime

from ...clock import Clock
from .connect import Lost, connect, log_in, lost
from .url import RedisUrl

# How long a Sentinel may take to answer (seconds), connecting included.
ASK_S = 1.0


async def find_master(reactor: Any, clock: Clock, url: RedisUrl) -> tuple[str, int]:
    """Ask for the master's address.

    Args:
        reactor: where the sockets live.
        clock: for the time that a Sentinel has.
        url: of Sentinels.

    Returns:
        (host, port).

    Raises:
        Lost: no Sentinel answers, or none knows the master.
    """
    answered: Deferred[tuple[str, int]] = Deferred()
    reasons: list[Lost] = []

    def knows(address: tuple[str, int]) -> None:
        if not answered.called:
            answered.callback(address)

    def failed(failure: Any) -> None:
        reasons.append(lost(failure.value))
        if len(reasons) == len(asking) and not answered.called:
            # What one of them said tells more than that another is gone.
            said = min(reasons, key=lambda reason: not reason.refused)
            answered.errback(Lost(f"no Sentinel names the master: {said}", refused=said.refused))

    asking = [
        ensureDeferred(_ask(reactor, host, port, url)).addTimeout(
            ASK_S, cast("IReactorTime", clock)
        )
        for host, port in url.hosts
    ]
    for each in asking:
        each.addCallbacks(knows, failed)
    try:
        return await answered
    finally:
        for each in asking:
            each.cancel()


async def _ask(reactor: Any, host: str, port: int, url: RedisUrl) -> tuple[str, int]:
    protocol = await connect(reactor, host, port)
    try:
        try:
            address = await protocol.sentinel_get_master_addr_by_name(url.master)
        except Exception as error:
            # Sentinels have passwords of their own; where they have, it is the servers' here.
            if not url.password or not str(error).startswith("NOAUTH"):
                raise
            await log_in(protocol, url)
            address = await protocol.sentinel_get_master_addr_by_name(url.master)
    finally:
        protocol.transport.abortConnection()
    if not address:
        raise Lost(f"the Sentinel at {host}:{port} knows no master {url.master!r}", refused=True)
    return address[0].decode("ascii"), int(address[1])
