"""Cards in memory, so that a much opened card does not cost a database read a view.

Only cards that have been sent are kept. They never change: what is sent cannot be cancelled, and
nobody can edit it. So a kept card is right however old it is; the short life only keeps what is
not opened any more from taking room. Callers who ask for a card while it is being read wait for
that read, so a card that becomes hot at once is still read once a replica.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

from twisted.internet.defer import Deferred

from clients.greetings import Card

from .rules import open_card
from .stored import StoredCard

# Long enough that one read serves thousands of views of a hot card; see above for why not longer.
KEEP_S = 5.0
# A card is below 10 KB (2,000 letters of up to 4 bytes), most are 1 KB: 4 to 40 MB.
CAPACITY = 4_096


class Opened(NamedTuple):
    """A card that may be seen, and the greeting that its views belong to."""

    card: Card
    greeting_id: str


class _Kept(NamedTuple):
    opened: Opened
    until: float


class Cards:
    """Finds cards by token."""

    def __init__(
        self,
        read: Callable[[str], Awaitable[StoredCard | None]],
        *,
        seconds: Callable[[], float],
        wall: Callable[[], datetime],
        keep_s: float = KEEP_S,
        capacity: int = CAPACITY,
    ) -> None:
        """Begin with none.

        Args:
            read: reads a card from the storage.
            seconds: the monotonic clock, for how long cards are kept.
            wall: the time of day, for whether they are due.
            keep_s: how long a card is kept, in seconds.
            capacity: the most cards that are kept.
        """
        self._read = read
        self._seconds = seconds
        self._wall = wall
        self._keep_s = keep_s
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._being_read: dict[str, list[Deferred[tuple[StoredCard | None] | None]]] = {}

    async def open(self, token: str) -> Opened:
        """Find a card and see that it may be seen.

        Raises:
            Problem: 404 not-found; 409 not-due.
        """
        kept = self._kept.get(token)
        if kept is not None and self._seconds() < kept.until:
            self._kept.move_to_end(token)
            return kept.opened
        stored = await self._read_once(token)
        card = open_card(stored, self._wall())
        assert stored is not None  # open_card refuses None
        opened = Opened(card, stored.id)
        self._kept[token] = _Kept(opened, self._seconds() + self._keep_s)
        self._kept.move_to_end(token)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return opened

    async def _read_once(self, token: str) -> StoredCard | None:
        waiting = self._being_read.get(token)
        if waiting is not None:
            turn: Deferred[tuple[StoredCard | None] | None] = Deferred()
            waiting.append(turn)
            result = await turn
            # The other's failure may be its own, such as an earlier deadline.
            return result[0] if result is not None else await self._read(token)
        waiting = self._being_read[token] = []
        outcome: tuple[StoredCard | None] | None = None
        try:
            outcome = (await self._read(token),)
            return outcome[0]
        finally:
            del self._being_read[token]
            for turn in waiting:
                # A caller that was cancelled meanwhile has its answer already.
                if not turn.called:
                    turn.callback(outcome)
