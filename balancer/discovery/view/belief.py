"""What to believe of a registry's word. Pure: known and told in, known out.

Replicas seldom leave many at a time, and a registry that has just started, lost its disk or was cut
in two tells of few or none at all. So what it says is taken at its word only as long as that cannot
do much harm:

- A step that takes at most half of a service's replicas is believed at once.
- A step that takes more is *held*: those that are missing stay until calls have found, each by
  itself, that they are gone. Two witnesses agree then. One that is told again is held no more.
- Steps are added up over ten seconds, so that a registry that forgets its entries one after the
  other comes no further than one that forgets them all at once.
- A replica that is announced with another address, or an address that is announced for another
  process, is a replacement. The old one is gone by the new one's word, and counts as no drop.

Half, because a deployment that puts as many new replicas beside the old ones and then takes all the
old ones away is taken at its word, and a service that has lost half of what it had still works.
Ten seconds are longer than any registry here takes to tell one state of affairs in several steps
(leases of one lost server end within their time to live, 10 s). Where replicas are replaced one by
one the new ones count as known, so all of them may be replaced within that time.

The model is Eureka's self-preservation; there the whole registry stops to forget, and here each
caller decides by what it sees itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from ...values import Endpoint

# Steps within so many seconds count as one.
WINDOW_S = 10.0
# What nobody has told of for so long (seconds) is forgotten, whether or not anybody called it.
FORGET_S = 86_400.0

# Asked of the caller's fleet: whether calls have found that a replica is gone.
IsGone: TypeAlias = Callable[[Endpoint], bool]


class Held(NamedTuple):
    """A replica that the registry tells of no more, and that is used all the same.

    Attributes:
        endpoint: as it was last told.
        since: when it was missing for the first time, in monotonic seconds.
    """

    endpoint: Endpoint
    since: float


class Drop(NamedTuple):
    """Replicas that left by the registry's word alone.

    Attributes:
        at: when, in monotonic seconds.
        size: how many.
    """

    at: float
    size: int


class Known(msgspec.Struct, frozen=True):
    """What is known of one service.

    Attributes:
        told: all endpoints that the registry told of last, those on standby too.
        held: those that it tells of no more.
        drops: of the last ten seconds.
    """

    told: tuple[Endpoint, ...] = ()
    held: tuple[Held, ...] = ()
    drops: tuple[Drop, ...] = ()

    def endpoints(self) -> list[Endpoint]:
        """All that a caller goes by."""
        return [*self.told, *(held.endpoint for held in self.held)]


def believe(known: Known, told: Sequence[Endpoint], is_gone: IsGone, now: float) -> Known:
    """Take a registry's word.

    Args:
        known: what was known before; nothing, for the first word of all.
        told: all endpoints that the registry tells of now.
        is_gone: asked of those that are missing.
        now: monotonic seconds.

    Returns:
        What is known now: all that was told, and what is held.
    """
    names = {endpoint.replica for endpoint in told}
    addresses = {endpoint.address for endpoint in told}

    def is_missing(endpoint: Endpoint) -> bool:
        return endpoint.replica not in names and endpoint.address not in addresses

    before = [endpoint for endpoint in known.told if not endpoint.standby]
    missing = [endpoint for endpoint in before if is_missing(endpoint)]
    gone = {endpoint.address for endpoint in missing if is_gone(endpoint)}
    missing = [endpoint for endpoint in missing if endpoint.address not in gone]
    held = [each for each in _still_held(known, is_gone, now) if is_missing(each.endpoint)]
    drops = [drop for drop in known.drops if now - drop.at < WINDOW_S]
    if missing:
        dropped = sum(drop.size for drop in drops)
        # Of whom it was not known in another way that they have left.
        alive = len(before) - len(gone) + len(known.held) + dropped
        if 2 * (len(missing) + len(held) + dropped) <= alive:
            drops.append(Drop(now, len(missing)))
        else:
            held += [Held(endpoint, now) for endpoint in missing]
    return Known(tuple(told), tuple(held), tuple(drops))


def confirm(known: Known, is_gone: IsGone, now: float) -> Known:
    """Let those of the held go that calls have found to be gone.

    Returns:
        What is known now; the same object when nothing has changed.
    """
    held = _still_held(known, is_gone, now)
    if len(held) == len(known.held):
        return known
    return msgspec.structs.replace(known, held=tuple(held))


def _still_held(known: Known, is_gone: IsGone, now: float) -> list[Held]:
    return [
        each for each in known.held if now - each.since < FORGET_S and not is_gone(each.endpoint)
    ]
