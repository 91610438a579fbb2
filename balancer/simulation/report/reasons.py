"""Why a bound is missed, where one is: a sentence for each, no more and no fewer than there are.

A miss without a reason is a fault, and so is a reason without a miss: `faults` finds both, the
command says them and a test fails on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# By "section: case" of a claim, or "scenario: measure" of a verdict.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "supermarket: mean": (
            "a lone dispatcher knows all there is to know, and cannot do better than to look at "
            "every queue; with many of them all run to the same idle server, as under antagonists."
        ),
        "drastic-slowdown: mean": (
            "ten clients lose calls to the slow server before it has told any of them that it is "
            "slow; of 4,000 calls the default loses a handful more, 11 s each."
        ),
    }
)
