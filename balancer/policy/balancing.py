"""Which way of picking, on which signal: the settings that put a balancing policy together.

A policy is a *signal* (how loaded does a replica seem?) and a *pick* (given that, which one?),
chosen apart. Most callers never choose: the defaults are the pair that the laboratory found best,
with its numbers in docs/explanation.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ..config import Settings
from .subset import SubsetSettings

PickName: TypeAlias = Literal[
    "fresh",
    "hot-cold",
    "two-choices",
    "least-loaded",
    "weighted",
    "round-robin",
    "random",
    "hashing",
]
SignalName: TypeAlias = Literal["", "in-flight", "peak-ewma", "reported", "latency", "expected"]


class BalancingSettings(Settings, frozen=True, kw_only=True):
    """How a replica is picked.

    Attributes:
        policy: the way of picking. Calls that declare a key go by hashing under every policy.
        signal: what counts as load; "" takes the policy's own. Round robin, random and weighted
            compare no loads, and hashing and hot-cold only when they have no key or no reports.
        choices: how many replicas two-choices compares.
        warmup_s: how long a replica that has just started takes less than its share, in seconds; 0
            for never. Ten are enough for connections, caches and compiled code.
        zone: where this process runs, so that calls stay there while seven tenths of its zone's
            replicas are well; "" takes all zones alike.
        versions: the share of the calls that a version gets whatever its number of replicas, in
            the form {"2"=0.05}; the others together get the rest. Another attempt of a call may go
            to any.
        subset: how many replicas of a very large fleet this process uses.
    """

    policy: PickName = "fresh"
    signal: SignalName = ""
    choices: int = 2
    warmup_s: float = 10.0
    zone: str = ""
    versions: dict[str, float] = msgspec.field(default_factory=dict)
    subset: SubsetSettings = SubsetSettings()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.choices < 1:
            raise ValueError("choices must be at least 1")
        if not self.warmup_s >= 0:
            raise ValueError("warmup_s must not be below 0")
        if "" in self.versions or any(not 0 <= share <= 1 for share in self.versions.values()):
            raise ValueError("versions must have names, and shares from 0 to 1")
        if sum(self.versions.values()) > 1 + 1e-9:
            raise ValueError("versions must have shares of 1 together at the most")
