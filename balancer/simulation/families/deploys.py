"""Every replica is restarted, one after the other, while calls go on.

Each says that it is leaving, leaves the registry, ends when what it had is done, and comes back as
a new process whose caches are cold: for a while its jobs take three times as long. A deploy should
cost no call, and no more latency than the missing replica explains.
"""

from __future__ import annotations

from math import log

from ..arrivals import poisson
from ..result import Result
from ..scenario import Scenario, Setup
from ..series import note_latency
from ..servers import Server, Sharing
from ..trial import Trial
from ..world import World

_JOB_S = 0.01
_DEADLINE_S = 1.0
_BEFORE_S = 5.0
# A replica's turn: it drains, leaves the registry, ends, is back, and the next one's turn comes.
_LEAVES_S, _ENDS_S, _BACK_S, _NEXT_S = 0.5, 2.0, 3.0, 8.0
_COLD_S, _COLDNESS = 5.0, 3.0


def _restart(world: World, server: Server) -> None:
    server.restart(world.next_pid(), cold_s=_COLD_S, coldness=_COLDNESS)
    world.enter(server)


def _play(setup: Setup) -> Result:
    trial = Trial(setup)
    world = trial.world
    random = world.stream("jobs").random
    servers = [
        world.add(Sharing(world.scheduler), lambda: -_JOB_S * log(1.0 - random()))
        for _ in range(setup.replicas)
    ]
    world.announce()
    begin = _BEFORE_S
    for server in servers:
        world.after(begin, server.drain)
        world.after(begin + _LEAVES_S, world.withdraw, server)
        world.after(begin + _ENDS_S, server.kill)
        world.after(begin + _BACK_S, _restart, world, server)
        begin += _NEXT_S
    rate = setup.load * setup.replicas / _JOB_S
    lasts_s = setup.lasting_s(rate, begin + _BEFORE_S)
    end = world.began + lasts_s
    mean_s = note_latency(world, trial.calls, lasts_s)
    instants = poisson(rate, world.began, end, world.stream("arrivals").random)
    world.call_from_all(trial.calls, instants, deadline_s=_DEADLINE_S)
    trial.run()
    return trial.result(
        {
            "success": trial.calls.success,
            "lost": sum(server.lost for server in servers),
        },
        {
            "goodput": [count / rate for count in trial.calls.good_by_second],
            "mean_s": mean_s,
        },
    )


ROLLING_RESTART = Scenario(
    name="rolling-restart",
    summary="each server drains, ends and comes back with cold caches, one after the other",
    source="own; slow start after Envoy",
    load="offered, in parts of what the warm servers bear",
    replicas=6,
    clients=10,
    default_load=0.5,
    play=_play,
)
