"""Drawing a replica at random, so that each comes up in proportion to its weight.

By rejection: draw any, keep it with the probability of its weight, else draw again. It takes no
table that would have to follow every change, and one draw nearly always, because nearly always all
weights are 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..replica import Replica

# After so many the last one drawn is taken: 8 leave a tenth of the weight in error by under 1 %
# where half of the replicas weigh a tenth.
_DRAWS = 8


def draw(replicas: Sequence[Replica], random: Callable[[], float]) -> Replica:
    """Draw one in proportion to its weight.

    Args:
        replicas: at least one.
        random: floats in [0, 1).
    """
    count = len(replicas)
    for _ in range(_DRAWS):
        replica = replicas[int(random() * count)]
        weight = replica.weight
        if weight >= 1.0 or random() < weight:
            break
    return replica


def draw_fast(replicas: Sequence[Replica], random: Callable[[], float], pace_s: float) -> Replica:
    """Draw one in proportion to its weight and to how fast it is.

    Args:
        replicas: at least one.
        random: floats in [0, 1).
        pace_s: the lowest ``cost_s / weight`` among them.
    """
    count = len(replicas)
    for _ in range(_DRAWS):
        replica = replicas[int(random() * count)]
        if random() * replica.cost_s <= pace_s * replica.weight:
            break
    return replica
