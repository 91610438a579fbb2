"""The policies that are held against each other: ways to pick, each with the signals that suit it.

Not every pair says something of its own. Round robin, random and weighted look at no signal; what
is least loaded of all is only known by one's own attempts; hashing needs keys, and without them it
is two choices.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import msgspec

from ...policy.balancing import BalancingSettings, PickName, SignalName
from ...policy.pick.make import signal_name

POLICIES: tuple[PickName, ...] = get_args(PickName)
SIGNALS: tuple[SignalName, ...] = tuple(name for name in get_args(SignalName) if name)


class Contender(msgspec.Struct, frozen=True):
    """One policy with its signal.

    Attributes:
        policy: the way of picking.
        signal: what counts as load; "" for the policy's own.
    """

    policy: PickName
    signal: SignalName = ""

    @property
    def label(self) -> str:
        """What it is called in tables and plots."""
        return f"{self.policy}, {self.signal}" if self.signal else self.policy

    @property
    def settings(self) -> BalancingSettings:
        """The settings that make it."""
        return BalancingSettings(policy=self.policy, signal=self.signal)

    @property
    def standard(self) -> bool:
        """Whether it is what a process that configures nothing picks by."""
        own, usual = self.settings, BalancingSettings()
        return own.policy == usual.policy and signal_name(own) == signal_name(usual)


CONTENDERS: tuple[Contender, ...] = (
    Contender("round-robin"),
    Contender("random"),
    Contender("weighted"),
    Contender("least-loaded"),
    Contender("two-choices", "in-flight"),
    Contender("two-choices", "peak-ewma"),
    Contender("two-choices", "reported"),
    Contender("hot-cold"),
    Contender("fresh"),
)


def standard(contenders: Iterable[Contender] = CONTENDERS) -> Contender:
    """The default, which is one of them."""
    return next(contender for contender in contenders if contender.standard)
