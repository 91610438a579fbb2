"""What a pick costs inside a process: no sockets, no peers, nanoseconds.

A fleet as production has it, everything on: a tenth of the replicas weigh half, every answer brings
a report, every call asks whether to probe. 32 calls are in flight, in virtual time 5,000 a second,
so that what a policy remembers of its reports is as full as it is in use. Each operation is timed
by itself, less what the timer takes. What is done twice a second, whatever the number of calls, is
measured apart.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from statistics import mean, median
from time import perf_counter_ns
from typing import NamedTuple, get_args

from balancer import Endpoint
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet, Replica
from balancer.policy.balancing import PickName
from balancer.policy.subset import SubsetSettings
from balancer.values import LoadReport

from .items import IN_FLIGHT

SIZES = (10, 100, 1000, 10_000)
# Seconds of virtual time: between calls, and such a jump that what is due is done.
_CALL_S = 0.0002
_JUMP_S = 0.6
# Below the half second after which it would be due again.
_CALLS = 2000
# Each of them takes milliseconds, and in most the process is not interrupted.
_SHORT_ROUNDS = 4
# A round ends after so long (nanoseconds), for policies that look at every replica.
_ROUND_NS = 50_000_000

_WHOLE = SubsetSettings(size=0)
# Whatever they pick, the others are compared with it.
REFERENCE = "random"


class Variant(NamedTuple):
    """One way to call.

    Attributes:
        name: in the table.
        settings: how the fleet picks.
        keys: how many keys its calls have; 0 when they declare none.
    """

    name: str
    settings: BalancingSettings
    keys: int = 0


VARIANTS = (
    *(Variant(name, BalancingSettings(policy=name, subset=_WHOLE)) for name in get_args(PickName)),
    Variant(
        "fresh, zone and version",
        BalancingSettings(zone="a", versions={"2": 0.05}, subset=_WHOLE),
    ),
    Variant("any, with a key", BalancingSettings(subset=_WHOLE), keys=1000),
)


class Cost(NamedTuple):
    """What one variant costs with so many replicas, in nanoseconds, in the cheapest round.

    The cheapest, because nothing but the rest of the machine can make a round dearer than another.

    Attributes:
        variant: its name.
        replicas: how many.
        pick: `Fleet.pick`.
        answer: `Fleet.succeeded`, with a report.
        probe: `Fleet.probe`: whether to.
        half_second: what the first pick of each half second does besides.
    """

    variant: str
    replicas: int
    pick: float
    answer: float
    probe: float
    half_second: float


def measure_picks(rounds: int, progress: Callable[[str], None]) -> list[Cost]:
    """Measure all variants at all sizes.

    Args:
        rounds: how often each.
        progress: told before each.
    """
    found = []
    for size in SIZES:
        for variant in VARIANTS:
            progress(f"pick, {variant.name}, {size} replicas")
            drive = _Drive(variant, size)
            drive.round()  # warms up
            taken = [drive.round() for _ in range(rounds * _SHORT_ROUNDS)]
            found.append(Cost(variant.name, size, *map(min, zip(*taken, strict=True))))
    return found


def _endpoints(size: int) -> list[Endpoint]:
    return [
        Endpoint(
            service="items",
            replica=f"items-{number}",
            address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:80",
            pid=number + 1,
            zone="abc"[number % 3],
            version="2" if number % 5 == 4 else "1",
            weight=0.5 if number % 10 == 9 else 1.0,
        )
        for number in range(size)
    ]


class _Drive:
    """Makes calls on a fleet and times what it does for them."""

    def __init__(self, variant: Variant, size: int) -> None:
        rng = random.Random(1)
        self._fleet = Fleet(variant.settings, Ejector(EjectionSettings(), rng.random), rng.random)
        self._fleet.update(_endpoints(size), 1.0)
        keys = [f"user-{number}" for number in range(variant.keys)]
        self._keys: list[str] | list[None] = keys or [None]
        self._now = 100.0
        self._running: deque[tuple[Replica, int]] = deque()
        self._reports = [
            LoadReport(in_flight=rng.randrange(8), latency_ms=5 + 5 * rng.random(), age_s=1000)
            for _ in range(997)
        ]

    def round(self) -> tuple[float, float, float, float]:
        """Make calls for a while.

        Returns:
            As in `Cost`: a pick, an answer, a probe's decision, what is done each half second.
        """
        pick, answer, probe = self._fleet.pick, self._fleet.succeeded, self._fleet.probe
        running, keys, clock = self._running, self._keys, perf_counter_ns
        self._now = now = self._now + _JUMP_S
        began = clock()
        pick(now)
        half_second = clock() - began
        picks, answers, probes, timer = [], [], [], []
        for number in range(_CALLS):
            now += _CALL_S
            key = keys[number % len(keys)]
            at = clock()
            replica = pick(now, key=key)
            after = clock()
            picks.append(after - at)
            assert replica is not None
            replica.in_flight += 1
            replica.attempts += 1
            running.append((replica, replica.attempts))
            at = clock()
            probe(now)
            after = clock()
            probes.append(after - at)
            if len(running) > IN_FLIGHT:
                ended, attempt = running.popleft()
                ended.in_flight -= 1
                report = self._reports[number % len(self._reports)]
                at = clock()
                answer(ended, now, attempt, 0.0064, report)
                after = clock()
                answers.append(after - at)
            at = clock()
            after = clock()
            timer.append(after - at)
            if after - began > _ROUND_NS and answers:
                break
        self._now = now
        taken = median(timer)
        pick_ns = mean(picks) - taken
        return pick_ns, mean(answers) - taken, mean(probes) - taken, half_second - taken - pick_ns
