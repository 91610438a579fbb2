"""One key, one replica, as long as that one has room: consistent hashing with bounded loads.

Calls whose answers depend on a key (a user, a document) find a warm cache where the same key was
asked before. Each replica has points on a ring, a key belongs to the replica of the next point, and
a replica that comes or goes moves its own keys only (Karger et al., 1997). Plain hashing lets a
popular key sink its replica; so none takes more than ``1.25`` times its share of what is in flight,
and a call that finds its replica full walks on to the next (Mirrokni, Thorup, Zadimoghaddam,
"Consistent Hashing with Bounded Loads", SODA 2018). The bound trades evenness for locality: with
1 + e a walk takes steps in the order of 1/e**2, which are 16 for a quarter and 100 for a tenth.

64 points a replica make its part of the ring even to 1/8 (one standard deviation), half of what the
bound allows. A replica uses as many of them as it weighs, so that a young one gets its keys bit by
bit. What is in flight includes what replicas report of other callers; one that was not heard of
within a second is taken to have as much from others as those that were.

Which point belongs to whom depends on addresses alone, through a hash that is the same in every
process: all callers agree without a word. They agree no more when each uses a subset of its own, so
a service that lives on its callers' keys should be used whole (``subset.size``).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import ceil
from sys import byteorder

from ..replica import Replica
from ..signals import Signal
from .choices import Choices

# How much more than its share a replica may have in flight.
_BOUND = 1.25
_POINTS = 64
# A point as one number: the hash, then the number of the address, then which of its points it is.
_POINT_BITS = 6
_HASH_SHIFT = 32
_ADDRESS_MASK = (1 << (_HASH_SHIFT - _POINT_BITS)) - 1
# What a replica reported is believed for so long (seconds), as Prequal does.
_AGE_S = 1.0
# The mean is worked out anew for every so many looks at records, so that it costs the same in every
# fleet: in one of 8 at each pick, in one of 80 at each tenth, which can have changed it by an
# eighth of a call.
_LOOKS_A_PICK = 8


class Hashing:
    """Picks by key; without one, the less loaded of two drawn at random."""

    __slots__ = (
        "_addresses",
        "_free",
        "_here",
        "_keyless",
        "_picks_left",
        "_replicas",
        "_ring",
        "_usual",
        "compared",
    )

    def __init__(self, signal: Signal, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            signal: what to compare for calls without a key; keys go by what is in flight.
            random: floats in [0, 1).
        """
        self._keyless = Choices(signal, 2, random)
        self._replicas: Sequence[Replica] = ()
        # Those that may be picked, by the number of their address; None until a key comes.
        self._here: dict[int, Replica] | None = None
        self._ring: list[int] = []
        # Those in the ring, and the number of each.
        self._addresses: dict[str, int] = {}
        # What a replica of weight 1 may have in flight.
        self._free = 0.0
        # What it has in flight from others, as far as is known.
        self._usual = 0.0
        self._picks_left = 0
        self.compared: Sequence[Replica] = ()

    def update(self, replicas: Sequence[Replica]) -> None:
        """See `Picker`. Cost: nothing is hashed before there is a key."""
        self._replicas = replicas
        self._keyless.update(replicas)
        if self._here is not None:
            self._place()

    def pick(self, now: float, key: str | None = None) -> Replica:
        """See `Picker`.

        Cost: with a key a hash, a search in the ring, a few steps on it and a look at 8 replicas.
        The first key makes the ring: 4 ms for 100 replicas, half a second for 10,000.
        """
        if key is None:
            replica = self._keyless.pick(now)
            self.compared = self._keyless.compared
            return replica
        if self._here is None:
            self._place()
        assert self._here is not None
        if self._picks_left <= 0:
            self._find_free(now)
        self._picks_left -= 1
        recently = now - _AGE_S
        here, ring, free = self._here, self._ring, self._free
        first: Replica | None = None
        start = bisect_right(ring, _hashes(key, 1)[0] << _HASH_SHIFT)
        for step in range(start, start + len(ring)):
            point = ring[step % len(ring)]
            found = here.get(point >> _POINT_BITS & _ADDRESS_MASK)
            if found is None or found.weight * _POINTS <= point % _POINTS:
                continue
            others = found.others if found.heard_at >= recently else self._usual * found.weight
            if others + found.in_flight + found.refusals + 1 <= ceil(free * found.weight):
                self.compared = (found,) if first is None else (first, found)
                return found
            first = first or found
        # Loads have grown since the mean was worked out.
        assert first is not None
        self._picks_left = 0
        self.compared = (first,)
        return first

    def heard(self, replica: Replica, now: float) -> None:
        """See `Picker`; the records say enough."""

    def refresh(self, now: float) -> None:
        """See `Picker`."""
        self._picks_left = 0

    def _find_free(self, now: float) -> None:
        replicas = self._replicas
        recently = now - _AGE_S
        heard = [replica for replica in replicas if replica.heard_at >= recently]
        others = sum([replica.others for replica in heard])
        self._usual = others / sum([replica.weight for replica in heard]) if heard else 0.0
        # With what is held against them, as when they are compared: else, when all refuse, nobody
        # is below the bound, and the walk goes round the whole ring.
        own = sum([replica.in_flight + replica.refusals for replica in replicas])
        weight = sum([replica.weight for replica in replicas])
        self._free = _BOUND * (self._usual + (own + 1) / weight)
        self._picks_left = len(replicas) // _LOOKS_A_PICK

    def _place(self) -> None:
        """Take the replicas into the ring.

        Those that left stay in it, and are stepped over: they mostly come back. When more than half
        of it is theirs it is made anew.
        """
        here = {replica.endpoint.address: replica for replica in self._replicas}
        if len(self._addresses.keys() | here) > 2 * len(here):
            self._addresses.clear()
            self._ring.clear()
        numbers = self._addresses
        new = here.keys() - numbers.keys()
        for address in new:
            number = numbers[address] = len(numbers)
            self._ring += [
                point << _HASH_SHIFT | number << _POINT_BITS | nth
                for nth, point in enumerate(_hashes(address, _POINTS))
            ]
        if new:
            # Mostly sorted already, which the sort makes use of.
            self._ring.sort()
        self._here = {numbers[address]: replica for address, replica in here.items()}
        self._picks_left = 0


def _hashes(name: str, count: int) -> array[int]:
    """Places on the ring, from 0 to below 2**64."""
    data = name.encode("utf-8", "surrogatepass")
    places = array("Q")
    for salt in range(0, count, 8):
        # One digest has eight of them.
        places.frombytes(blake2b(data, salt=bytes((salt,)), digest_size=8 * min(8, count)).digest())
    if byteorder == "big":
        places.byteswap()
    return places
