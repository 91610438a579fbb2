"""From the name of a policy to a picker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..balancing import BalancingSettings
from ..signals import SIGNALS, Signal
from .chance import Chance
from .choices import Choices
from .fresh import Fresh
from .hashing import Hashing
from .hot_cold import HotCold
from .interface import Picker
from .least_loaded import LeastLoaded
from .round_robin import RoundRobin
from .weighted import Weighted

# The signal of each policy when none is named. Two choices and the least loaded are known for going
# by what a caller has in flight itself; whoever lives on reports falls back on older ones too.
_OWN_SIGNAL = MappingProxyType({"fresh": "expected", "hot-cold": "expected"})
_ELSE_SIGNAL = "in-flight"

_Maker = Callable[[Signal, BalancingSettings, Callable[[], float]], Picker]

_MAKERS: Mapping[str, _Maker] = MappingProxyType(
    {
        "fresh": lambda signal, settings, random: Fresh(signal, random),
        "hot-cold": lambda signal, settings, random: HotCold(signal, random),
        "two-choices": lambda signal, settings, random: Choices(signal, settings.choices, random),
        "least-loaded": lambda signal, settings, random: LeastLoaded(signal, random),
        "weighted": lambda signal, settings, random: Weighted(random),
        "round-robin": lambda signal, settings, random: RoundRobin(random),
        "random": lambda signal, settings, random: Chance(random),
        "hashing": lambda signal, settings, random: Hashing(signal, random),
    }
)


def signal_name(settings: BalancingSettings) -> str:
    """The signal that a policy goes by."""
    return settings.signal or _OWN_SIGNAL.get(settings.policy, _ELSE_SIGNAL)


def make_picker(settings: BalancingSettings, random: Callable[[], float]) -> Picker:
    """Make a picker without replicas.

    Args:
        settings: which.
        random: floats in [0, 1).
    """
    signal = SIGNALS[signal_name(settings)]
    return _MAKERS[settings.policy](signal, settings, random)


def make_keyed(settings: BalancingSettings, random: Callable[[], float]) -> Picker:
    """Make the picker of calls that declare a key, whatever the policy for the others is.

    Args:
        settings: see `make_picker`.
        random: floats in [0, 1).
    """
    return Hashing(SIGNALS[signal_name(settings)], random)
