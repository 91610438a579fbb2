"""Which records a fleet keeps: discovery's word, set against what is known.

A replica keeps its record, and with it all that was learned of it, while its address and its
process stay the same. A new process at an old address is a new replica.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..values import Endpoint
from .replica import Replica


def update_records(
    records: dict[str, Replica], wanted: Iterable[tuple[Endpoint, float]], now: float
) -> list[Replica]:
    """Bring records up to date.

    One that comes to a fleet that was there already has just started, as far as anybody knows.

    Args:
        records: by address; changed in place.
        wanted: those that exist, each with the part of it that is this process's.
        now: monotonic seconds.

    Returns:
        Those that are gone.
    """
    parts = {endpoint.address: (endpoint, part) for endpoint, part in wanted}
    heaviest = max((endpoint.weight for endpoint, _ in parts.values()), default=1.0)
    born = now if records else float("-inf")
    gone = []
    for address, replica in list(records.items()):
        endpoint, _ = parts.get(address, (None, 0.0))
        if endpoint is None or _process(endpoint) != _process(replica.endpoint):
            gone.append(records.pop(address))
    for address, (endpoint, part) in parts.items():
        replica = records.get(address) or Replica(endpoint)
        if address not in records:
            replica.born = born
            records[address] = replica
        replica.endpoint = endpoint
        replica.share = part * endpoint.weight / heaviest
    for position, replica in enumerate(records.values()):
        replica.position = position
    return gone


def _process(endpoint: Endpoint) -> tuple[int, float]:
    """What tells a restarted process from the one before; in containers all have one number."""
    return endpoint.pid, endpoint.started
