"""Which bounds are missed, and whether each of them has its reason."""

from __future__ import annotations

from collections.abc import Iterator

from .family import family
from .figures import Figures
from .papers import sections
from .reasons import REASONS


def missed(figures: Figures) -> Iterator[str]:
    """What does not hold, by the keys of `REASONS`."""
    for section in sections():
        for claim in section.claims:
            if claim.holds(figures) is False:
                yield f"{section.name}: {claim.case}"
    for trying in family():
        for verdict in trying.verdicts(figures):
            if not verdict.holds:
                yield verdict.key


def faults(figures: Figures) -> list[str]:
    """What is wrong with the reasons, a line each; nothing when each miss has one."""
    misses = list(missed(figures))
    return [
        *(f"{key!r} is missed, and no reason is given" for key in misses if key not in REASONS),
        *(f"{key!r} has a reason, and is not missed" for key in REASONS if key not in misses),
    ]
