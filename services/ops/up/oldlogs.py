"""Which logs of replicas that are gone are old enough to go as well. Pure.

Each replacement builds replicas under names of their own, and each leaves a log behind. The latest
are what somebody reads who asks why; kept for ever, they would fill the disk.

The one that is wanted most is that of the first to die, and a replacement that fails leaves many
newer ones behind, of those that were removed because of it. So what ended shortly before the newest
stays with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

# How long before the newest another one is of the same replacement (seconds): longer than most take
# from the first death to the last removal.
_TOGETHER_S = 3600.0
# `txmesh up` runs no more replicas of a service, so one replacement leaves no more; a loop of them
# must not fill the disk within that time.
_TOGETHER_MOST = 100


class Left(NamedTuple):
    """The log of a replica that is gone.

    Attributes:
        replica: its name.
        written_at: when it was last written to, in seconds since any instant.
    """

    replica: str
    written_at: float


def surplus(left: Iterable[Left], services: Collection[str], most: int) -> list[str]:
    """Decide which logs go.

    The services are counted apart: ten replacements of one must not take the only trace of another.

    Args:
        left: all logs of replicas that are gone.
        services: the names of those that are known. A replica's name begins with its service's; the
            logs of services that are no longer known are counted together.
        most: how many of one service stay, the newest; with them those that were written to in the
            hour before the newest, up to 100 in all.

    Returns:
        The replicas whose logs go, by service, the newest first.
    """
    by_service: defaultdict[str, list[Left]] = defaultdict(list)
    for each in left:
        by_service[_service_of(each.replica, services)].append(each)
    return [
        each.replica for _, found in sorted(by_service.items()) for each in _surplus_of(found, most)
    ]


def _surplus_of(found: list[Left], most: int) -> list[Left]:
    newest_first = sorted(found, key=lambda log: (-log.written_at, log.replica))
    since = newest_first[0].written_at - _TOGETHER_S
    together = sum(log.written_at >= since for log in newest_first)
    return newest_first[max(most, min(together, _TOGETHER_MOST)) :]


def _service_of(replica: str, services: Collection[str]) -> str:
    # "users-eu-1" is of "users-eu", though there may be "users" too.
    return max((name for name in services if replica.startswith(f"{name}-")), key=len, default="")
