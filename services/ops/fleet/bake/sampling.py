"""What new and old replicas answered since a moment, from counters that only rise. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from .comparison import Comparison, Figures

_NOTHING = Figures()


class _Side:
    """The replicas of one side: where each one's counters stood first, and stand now."""

    def __init__(self) -> None:
        self._first: dict[str, Figures] = {}
        self._last: dict[str, Figures] = {}

    def add(self, figures: Mapping[str, Figures]) -> None:
        for name, now in figures.items():
            first = self._first.setdefault(name, now)
            if now.requests < self._last.get(name, first).requests:
                self._first[name] = now  # it began anew
            self._last[name] = now

    def total(self) -> Figures:
        total = _NOTHING
        for name, last in self._last.items():
            total = total.plus(last.plus(self._first[name], -1.0))
        return total


class Samples:
    """Compares for as long as what is compared stays the same."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._begin(None, 0.0)

    def _begin(self, subject: Hashable, now: float) -> None:
        self._subject = subject
        self._began = self._at = now
        self._new, self._old = _Side(), _Side()
        self._any = False
        self._fair = 1.0

    def due(self, subject: Hashable, now: float, every_s: float) -> bool:
        """Whether another sample is to be taken; begins anew with another subject.

        Args:
            subject: what is compared, such as the names of the new ones that take calls.
            now: in the clock's seconds.
            every_s: time between two samples.
        """
        if subject != self._subject:
            self._begin(subject, now)
        return not self._any or now - self._at >= every_s

    def add(
        self, now: float, new: Mapping[str, Figures], old: Mapping[str, Figures], fair: float
    ) -> None:
        """Take a sample; a replica that is not in it stays as it was.

        Args:
            now: in the clock's seconds.
            new: the new ones' counters.
            old: the old ones'.
            fair: see `Comparison`.
        """
        self._fair = fair
        self._new.add(new)
        self._old.add(old)
        self._at = now
        self._any = True

    def comparison(self) -> Comparison | None:
        """New against old until now; None before the first sample."""
        if not self._any:
            return None
        return Comparison(
            seconds=self._at - self._began,
            new=self._new.total(),
            old=self._old.total(),
            fair=self._fair,
        )
