"""When a job is due: pure, from the wall clock's seconds to the slots of a job.

A slot is an instant from which one run is due, up to the next slot. Slots follow from the wall
clock alone, so all replicas name them alike without talking to each other, however often each of
them was restarted.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

SHORTEST_S = 0.05
LONGEST_S = 31 * 86_400.0

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])").fullmatch
# Further back than clocks are ever set for summer time: looking forward from there, no time of
# day is met that is another one's second coming.
_BEFORE = timedelta(hours=4)


class Timetable(Protocol):
    """The slots of a job, as seconds since 1970 UTC."""

    def placed(self, key: str) -> Timetable:
        """The same for the job of that name, so that not all jobs are due at one instant."""

    def latest(self, now: float) -> float:
        """The last slot that has begun by now."""

    def following(self, slot: float) -> float:
        """The slot after one; infinite when there is none."""

    def settled(self, now: float) -> float:
        """The slot that counts as done for a job of which nothing is known: it is new."""


@dataclass(frozen=True, slots=True)
class Every:
    """A slot each period, counted from 1970.

    Attributes:
        period_s: from slot to slot, in seconds.
        phase_s: how far all slots are shifted, in seconds, below the period.
    """

    period_s: float
    phase_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the range."""
        if not SHORTEST_S <= self.period_s <= LONGEST_S:
            raise ValueError(f"a job's period goes from {SHORTEST_S} s to {LONGEST_S:.0f} s")

    def placed(self, key: str) -> Every:
        """Shifted by a share of the period that follows from the key."""
        digest = hashlib.sha256(key.encode()).digest()
        share = int.from_bytes(digest[:4], "big") / 2**32
        return replace(self, phase_s=share * self.period_s)

    def latest(self, now: float) -> float:
        """See `Timetable`."""
        return self._slot(math.floor((now - self.phase_s) / self.period_s))

    def following(self, slot: float) -> float:
        """See `Timetable`."""
        return self._slot(round((slot - self.phase_s) / self.period_s) + 1)

    def settled(self, now: float) -> float:
        """A new job waits for its next slot."""
        return self.latest(now)

    def _slot(self, number: int) -> float:
        # Always this one product, so that the same slot is the same number on every machine.
        return self.phase_s + number * self.period_s


class At:
    """A slot at each time that a cron expression names, in a time zone.

    Where the clocks are set forward over a fixed time, it is met right after the gap; where they
    are set back, the first of the two counts. Fields with a star in the minute or the hour go by
    the clock as it runs. That is what Debian's cron does.
    """

    def __init__(self, times: str, zone: str = "UTC") -> None:
        """Read the times.

        Args:
            times: ``HH:MM``, or the five fields of cron: minute, hour, day, month, weekday.
            zone: such as "Europe/Berlin".

        Raises:
            ValueError: it reads otherwise, never comes, or no such zone is known.
        """
        clock = _CLOCK(times)
        self._fields = f"{int(clock[2])} {int(clock[1])} * * *" if clock else times
        if len(self._fields.split()) != 5:
            raise ValueError(
                f"{times!r} is not a time such as 03:30, nor five fields of cron such as "
                "*/5 * * * *"
            )
        try:
            self._zone = UTC if zone == "UTC" else ZoneInfo(zone)
        except (OSError, ValueError, KeyError):
            raise ValueError(
                f"time zone {zone!r} is not known here; write it as Europe/Berlin"
            ) from None
        self._text = f"{times} {zone}"
        self._current = (math.inf, -math.inf)
        try:
            next(self._times(0.0))
        except (CronSimError, StopIteration, OverflowError) as error:
            why = str(error) or "it never comes"
            raise ValueError(f"{times!r} is no time of cron: {why}") from None

    def __repr__(self) -> str:
        return f"At({self._text})"

    def placed(self, key: str) -> At:
        """Itself: a time of day is meant as it stands."""
        return self

    def latest(self, now: float) -> float:
        """See `Timetable`. Cost: a comparison until the next slot, then up to some ms."""
        slot, following = self._current
        if not slot <= now < following:
            # Backwards alone would not do: on the night when clocks are set back, the first of
            # two equal times is overlooked. So back past it, and forward from there.
            before = now - _BEFORE.total_seconds()
            following = next(self._times(before, reverse=True)).timestamp()
            while following <= now:
                slot, following = following, self.following(following)
            self._current = slot, following
        return slot

    def following(self, slot: float) -> float:
        """See `Timetable`."""
        for found in self._times(slot):
            # A fixed time in the gap of spring is met after it, and might be met there again.
            if (stamp := found.timestamp()) > slot:
                return stamp
        return math.inf

    def settled(self, now: float) -> float:
        """A new job waits for its next time."""
        return self.latest(now)

    def _times(self, start: float, *, reverse: bool = False) -> Iterator[datetime]:
        moment = datetime.fromtimestamp(math.floor(start), self._zone)
        return CronSim(self._fields, moment, reverse=reverse)


class Always:
    """One slot that never ends and is never done: what a daemon has."""

    def placed(self, key: str) -> Always:
        """Itself."""
        return self

    def latest(self, now: float) -> float:
        """See `Timetable`."""
        return 0.0

    def following(self, slot: float) -> float:
        """See `Timetable`."""
        return math.inf

    def settled(self, now: float) -> float:
        """None is done: a daemon is due at once."""
        return -1.0
