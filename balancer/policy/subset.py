"""Which of very many replicas this process uses: the same number of callers for each of them.

A thousand callers of a thousand replicas would keep a million connections, nearly all of them idle,
and none would hear of any replica often enough to know its load. So a caller uses some of them,
and the question is which: where each draws its own at random, some replicas get twice as many
callers as others.

Here replicas stand on a ring, in an order that all callers agree on, each with as much of it as it
weighs; callers stand at even distances on the same ring, and each uses the stretch that begins at
its own place. Stretches are a whole number of those distances long, so that every point of the ring
is in the same number of them. A replica that a stretch takes in only in part is used in that part.
A replica that comes or goes moves the others by little, and a caller changes one or two of its own.

Replicas of each group that shares are given to (a version, the caller's own zone; see
`balancer.policy.split`) have a ring of their own, of which the same stretch is used: so every
caller has its part of each.

A caller that does not know its place takes one at random. A replica is then used by
``size * peers / replicas`` callers on the average, give or take the root of that: with 100 callers
a replica, a standard deviation of a tenth, less the larger the stretch.

Sources: "Deterministic Aperture", Twitter's engineering blog, 2019, and Finagle's ring, whose
arithmetic this is; Google SRE book, chapter 20, "A subset selection algorithm". The size: 100 lose
one replica without the others' noticing, are heard of often enough, and keep most fleets whole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from math import ceil

from ..config import Settings
from ..values import Endpoint

# Of rounding: a stretch of this many replicas is none.
_NOTHING = 1e-6


class SubsetSettings(Settings, frozen=True, kw_only=True):
    """How many replicas of a very large fleet this process uses.

    Attributes:
        size: about so many; smaller fleets are used whole, and 0 uses any fleet whole. 100 are
            enough to lose some, and few enough to hear of each.
        peers: how many processes call alike (in the same zone, where one is set), so that every
            replica gets the same number of callers; 0 when that is not known, and a place is taken
            at random.
        peer: which of them this one is, from 0.
    """

    size: int = 100
    peers: int = 0
    peer: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.size < 0 or self.peers < 0:
            raise ValueError("size and peers must not be below 0")
        if not 0 <= self.peer < max(1, self.peers):
            raise ValueError("peer goes from 0 to below peers")


class Subset:
    """Chooses; it keeps the place that it took."""

    __slots__ = ("_group", "_place", "_random", "_settings")

    def __init__(
        self,
        settings: SubsetSettings,
        group: Callable[[Endpoint], str],
        random: Callable[[], float],
    ) -> None:
        """Choose nothing yet.

        Args:
            settings: how many, and who this process is among the callers.
            group: tells the group of a replica.
            random: floats in [0, 1); asked once, and only when a place has to be taken at random.
        """
        self._settings = settings
        self._group = group
        self._random = random
        self._place = settings.peer / settings.peers if settings.peers else -1.0

    def choose(self, endpoints: Iterable[Endpoint]) -> list[tuple[Endpoint, float]]:
        """Choose.

        Args:
            endpoints: all of the service's.

        Returns:
            Those that are used, each with the part of it that is this process's (above 0, at most
            1).

        Cost: a sort, once there are more than are used.
        """
        every = list(endpoints)
        settings = self._settings
        if not settings.size or len(every) <= settings.size:
            return [(endpoint, 1.0) for endpoint in every]
        width = settings.size / len(every)
        if settings.peers:
            width = ceil(width * settings.peers - _NOTHING) / settings.peers
        elif self._place < 0:
            self._place = self._random()
        if width >= 1:
            return [(endpoint, 1.0) for endpoint in every]
        groups: dict[str, list[Endpoint]] = {}
        for endpoint in every:
            groups.setdefault(self._group(endpoint), []).append(endpoint)
        return [
            chosen for group in groups.values() for chosen in _stretch(group, self._place, width)
        ]


def _stretch(endpoints: list[Endpoint], place: float, width: float) -> list[tuple[Endpoint, float]]:
    """What of one group lies on a stretch of its ring.

    Args:
        endpoints: the group, in any order.
        place: where the stretch begins, from 0 to below 1.
        width: how long it is, above 0 and below 1.
    """
    ring = sorted(endpoints, key=_rank)
    ends = list(accumulate(endpoint.weight for endpoint in ring))
    begin = place * ends[-1]
    left = width * ends[-1]
    index = min(bisect_right(ends, begin), len(ring) - 1)
    before = begin - (ends[index - 1] if index else 0.0)
    parts: dict[int, float] = {}
    while left > 0:
        weight = ring[index].weight
        taken = min(weight - before, left)
        if taken > _NOTHING * weight:
            parts[index] = parts.get(index, 0.0) + taken / weight
        left -= taken
        before = 0.0
        index = (index + 1) % len(ring)
    # Nobody else is compared with this group, so its parts count beside each other only.
    most = max(parts.values())
    return [(ring[index], part / most) for index, part in parts.items()]


def _rank(endpoint: Endpoint) -> tuple[int, str]:
    # By name: it outlives the process and its address. Two may have one by mistake.
    return _hash(endpoint.replica), endpoint.address


@lru_cache(maxsize=1 << 16)
def _hash(name: str) -> int:
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
