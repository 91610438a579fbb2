"""Neighbours that take most of half of the machines.

Processor-sharing servers of which every second one has a third of the others' capacity, and many
clients, each of which sends so little that its own counts say next to nothing. What matters is
whether a client learns the servers' loads, and how fresh that is.

Load 1 is what was allotted to the servers, one second of work a second each; half of them can take
three, so the whole bears twice that.
"""

from __future__ import annotations

from ..arrivals import poisson
from ..result import Result
from ..scenario import Scenario, Setup
from ..servers import Sharing
from ..trial import Trial

_WARMUP_S = 10.0
_MEASURED_S = 50.0
_DEADLINE_S = 5.0
_CAPACITIES = (1.0, 3.0)
# The mean job (seconds of work). Normal(mu, mu) cut at nought has the mean 1.2876 mu.
_MEAN_S = 0.1
_MU_S = _MEAN_S / 1.2876


def _play(setup: Setup) -> Result:
    """Run it; retries are off, for a call is cancelled only by its one deadline."""
    trial = Trial(setup, warmup_s=_WARMUP_S)
    world = trial.world
    gauss = world.stream("jobs").gauss

    def draw() -> float:
        while (size_s := gauss(_MU_S, _MU_S)) <= 0:
            pass
        return size_s

    for number in range(setup.replicas):
        world.add(Sharing(world.scheduler, _CAPACITIES[number % len(_CAPACITIES)]), draw)
    world.announce()
    rate = setup.load * setup.replicas / _MEAN_S
    end = world.began + _WARMUP_S + setup.lasting_s(rate, _MEASURED_S)
    instants = poisson(rate, world.began, end, world.stream("arrivals").random)
    world.call_from_all(trial.calls, instants, deadline_s=_DEADLINE_S, retryable=False)
    trial.run()
    slow, fast = (
        sum(server.attempts for server in list(world.servers.values())[place::2])
        for place in (0, 1)
    )
    return trial.result(
        {
            "error_ratio": 1 - trial.calls.success,
            "fast_share": fast / max(1, slow + fast),
        }
    )


ANTAGONISTS = Scenario(
    name="antagonists",
    summary="half of the servers have a third of the others' capacity; every client sends little",
    source='Wydrowski et al., "Load is not what you should balance" (Prequal), NSDI 2024',
    load="work offered, in parts of what is allotted to the servers; they bear 2",
    replicas=100,
    clients=100,
    default_load=1.27,
    play=_play,
)
