"""Deadlines by the thousand: one coarse sweep instead of a delayed call each.

A delayed call that is nearly always cancelled costs 1 to 2 microseconds a request. Here entries lie
in buckets of a few milliseconds; a tick looks only at the buckets that are due. An entry fires at
its instant or at most one tick later, never before.

When this process itself was held up (a collection, a starved machine), answers that came in time
lie unread in the kernel, and a reactor runs its timers before it reads. So a tick that comes very
late lets the sockets be read first: else a pause of half a second would be counted as the failure
of every replica that has answered meanwhile.
"""

from __future__ import annotations

from typing import Protocol

from twisted.logger import Logger

from ..clock import Clock

# Width of a bucket and time between ticks (seconds): a deadline of 250 ms is then at most 4 % late.
TICK_S = 0.01

# So late (seconds) a tick comes only when the process was held up.
_HELD_UP_S = 0.05
# And it makes way once, however long the others take then.
_ONCE_S = 3600.0

_log = Logger()


class Timed(Protocol):
    """What lies in a sweep.

    Attributes:
        due: its bucket, kept by the sweep; 0 while it lies in none.
    """

    due: int

    def expired(self, now: float) -> None:
        """Its instant has come; it no longer lies in the sweep."""


class Sweep:
    """Keeps entries until their instant."""

    __slots__ = ("_buckets", "_clock", "_due_at", "_running", "_swept", "_tick_s")

    def __init__(self, clock: Clock, tick_s: float = TICK_S) -> None:
        """Begin empty; the clock is used only while there are entries.

        Args:
            clock: monotonic.
            tick_s: width of a bucket in seconds.
        """
        self._clock = clock
        self._tick_s = tick_s
        # Bucket b holds what is due in (b - 1, b] ticks. A dict serves as an ordered set.
        self._buckets: dict[int, dict[Timed, None]] = {}
        self._running = False
        self._swept = 0
        self._due_at = 0.0

    def add(self, entry: Timed, instant: float) -> None:
        """Have an entry told at an instant; it must not lie in a sweep already.

        Args:
            entry: what to tell.
            instant: in the clock's seconds.
        """
        if not self._running:
            # First, for it says which buckets are past: one of those would never be looked at.
            self._start()
        due = int(instant / self._tick_s) + 1
        if due <= self._swept:
            due = self._swept + 1
        entry.due = due
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {entry: None}
        else:
            bucket[entry] = None

    def remove(self, entry: Timed) -> None:
        """Forget an entry; harmless when it lies in none."""
        bucket = self._buckets.get(entry.due)
        if bucket is not None:
            bucket.pop(entry, None)
            if not bucket:
                del self._buckets[entry.due]
        entry.due = 0

    def _start(self) -> None:
        self._running = True
        now = self._clock.seconds()
        self._swept = int(now / self._tick_s)
        self._wait(now)

    def _wait(self, now: float) -> None:
        """Have the next tick at the end of the bucket that runs, so that nothing waits for two."""
        wait_s = (self._swept + 1) * self._tick_s - now
        # Rounding may leave next to nothing, which must not become a tick without progress.
        wait_s = max(wait_s, self._tick_s / 100)
        self._due_at = now + wait_s
        self._clock.callLater(wait_s, self._tick)

    def _tick(self) -> None:
        now = self._clock.seconds()
        if now - self._due_at > _HELD_UP_S:
            self._due_at = now + _ONCE_S
            self._clock.callLater(0, self._tick)
            return
        upto = int(now / self._tick_s)
        buckets = self._buckets
        if upto - self._swept > len(buckets):
            due = sorted(bucket for bucket in buckets if bucket <= upto)
        else:
            due = [bucket for bucket in range(self._swept + 1, upto + 1) if bucket in buckets]
        self._swept = max(upto, self._swept)
        if buckets:
            # Before the entries are told: one that raises must not stop the sweep.
            self._wait(now)
        else:
            self._running = False
        for number in due:
            for entry in list(buckets.get(number, ())):
                # An earlier one may have removed this one.
                if entry.due == number:
                    entry.due = 0
                    try:
                        entry.expired(now)
                    except Exception:  # noqa: BLE001 - one entry must not cost the others
                        _log.failure("an entry failed when its instant came")
            buckets.pop(number, None)
