"""The groups of a fleet, each with a picker of its own; see `balancer.policy.split` for why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from .balancing import BalancingSettings
from .pick import Picker, make_keyed, make_picker
from .replica import Replica
from .split import Group, split


class Grouping:
    """Joins groups and pickers.

    Attributes:
        only: the picker when there is one group, which is the rule; else None.
    """

    __slots__ = (
        "_by_replica",
        "_groups",
        "_keyed",
        "_pickers",
        "_random",
        "_settings",
        "_uppers",
        "only",
    )

    def __init__(self, settings: BalancingSettings, random: Callable[[], float]) -> None:
        """Begin without replicas.

        Args:
            settings: how to split and how to pick.
            random: floats in [0, 1).
        """
        self._settings = settings
        self._random = random
        self.only: Picker | None = None
        # The upper end of each group's part of 0 to 1, and its picker.
        self._uppers: list[tuple[float, Picker]] = []
        self._by_replica: dict[Replica, Picker] = {}
        # By the group's name, kept while the group is gone: what a picker learned is worth keeping.
        self._pickers: dict[str, Picker] = {}
        # Likewise for calls with a key; empty until one comes.
        self._keyed: dict[str, Picker] = {}
        self._groups: list[Group] = []

    def update(self, available: Sequence[Replica], known: Sequence[Replica]) -> None:
        """Take the replicas that may be picked now, and all that are known."""
        self._uppers = []
        self._by_replica = {}
        upper = 0.0
        self._groups = split(available, known, self._settings) if available else []
        for group in self._groups:
            picker = self._pickers.get(group.name)
            if picker is None:
                picker = self._pickers[group.name] = make_picker(self._settings, self._random)
            picker.update(group.replicas)
            upper += group.share
            self._uppers.append((upper, picker))
            self._by_replica.update(dict.fromkeys(group.replicas, picker))
            if group.name in self._keyed:
                self._keyed[group.name].update(group.replicas)
        self.only = self._uppers[0][1] if len(self._uppers) == 1 else None

    def draw(self) -> Picker | None:
        """The picker for one call, drawn by the groups' shares; None when there is no replica."""
        if self.only is not None or not self._uppers:
            return self.only
        drawn = self._random()
        for upper, picker in self._uppers:
            if drawn < upper:
                return picker
        return self._uppers[-1][1]  # a sum of shares may fall short of 1 by a rounding error

    def keyed(self, key: str) -> Picker | None:
        """The picker for a call that declares a key; None when there is no replica.

        A key stays with its group as it does with its replica: a caller who was served by the new
        version is not sent back and forth.
        """
        if not self._groups:
            return None
        drawn = crc32(key.encode("utf-8", "surrogatepass")) / 2**32
        group = self._groups[-1]
        for place, (upper, _) in enumerate(self._uppers):
            if drawn < upper:
                group = self._groups[place]
                break
        picker = self._keyed.get(group.name)
        if picker is None:
            picker = self._keyed[group.name] = make_keyed(self._settings, self._random)
            picker.update(group.replicas)
        return picker

    def heard(self, replica: Replica, now: float) -> None:
        """Take note of a replica's report; see `Picker.heard`."""
        picker = self._by_replica.get(replica)
        if picker is not None:
            picker.heard(replica, now)

    def refresh(self, now: float) -> None:
        """See `Picker.refresh`."""
        for _, picker in self._uppers:
            picker.refresh(now)
        for keyed in self._keyed.values():
            keyed.refresh(now)
