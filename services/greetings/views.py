"""Counting views without a write a view.

A card that goes round the world is opened some thousand times a second. Each of these as an
UPDATE of one row would queue behind the others for the write lock. So views are counted in memory
and added in one transaction a second, whatever their number.

The price: a replica that is killed outright loses the views of its last second. One that is
stopped loses none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

# What `views` may be behind, and what a kill may lose: a second is too little to notice, and one
# write a second is no load.
FLUSH_INTERVAL_S = 1.0


class ViewCounts:
    """The views that are not stored yet."""

    def __init__(self, store: Callable[[Mapping[str, int]], Awaitable[None]]) -> None:
        """Begin with none.

        Args:
            store: adds views by greeting id to the stored ones, all or none.
        """
        self._store = store
        self._views: Counter[str] = Counter()

    def count(self, greeting_id: str) -> None:
        """Count one view. Cost: one dict entry a greeting that was opened since the last flush."""
        self._views[greeting_id] += 1

    async def flush(self) -> None:
        """Store what was counted. When that fails the views stay and go with the next flush."""
        if not self._views:
            return
        taken, self._views = self._views, Counter()
        try:
            await self._store(taken)
        except BaseException:
            # Those counted meanwhile are in the new counter.
            self._views.update(taken)
            raise
