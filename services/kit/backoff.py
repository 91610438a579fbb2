"""How long to wait before a process that died is started again. Pure.

At once would turn a process that cannot start into a busy loop; always long would make the one that
died of bad luck missing for long. So the wait doubles with each death, and starts over when a
process has lived long enough to count as well.
"""

from __future__ import annotations


class RestartBackoff:
    """The waits for one process."""

    __slots__ = ("_first_s", "_most_s", "_next_s")

    def __init__(self, first_s: float, most_s: float) -> None:
        """Begin with the first wait.

        Args:
            first_s: the wait after the first death, in seconds.
            most_s: the longest wait; also how long a process must live to count as well.
        """
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def after(self, lived_s: float) -> float:
        """The wait after a death.

        Args:
            lived_s: how long the process lived.
        """
        if lived_s >= self._most_s:
            self._next_s = self._first_s
        wait_s = self._next_s
        self._next_s = min(self._most_s, wait_s * 2)
        return wait_s
