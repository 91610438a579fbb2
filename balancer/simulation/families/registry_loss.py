"""The registry is gone, and replicas die and move meanwhile.

The clients know nothing better than what they were told last. Some of that is no longer true: three
replicas have died, and two are where nobody looks. What is left bears the load, so no call need
fail; and when the registry is back, the moved ones should be used at once.
"""

from __future__ import annotations

from math import log

from ..arrivals import poisson
from ..result import Result
from ..scenario import Scenario, Setup
from ..servers import Server, Sharing
from ..trial import Trial

_JOB_S = 0.01
_DEADLINE_S = 1.0
_LOST_S, _FOUND_S, _LASTS_S = 5.0, 30.0, 40.0
_DEATHS_S = (8.0, 11.0, 14.0)
_MOVES_S = (17.0, 20.0)


def _play(setup: Setup) -> Result:
    trial = Trial(setup)
    world = trial.world
    random = world.stream("jobs").random

    def draw() -> float:
        return -_JOB_S * log(1.0 - random())

    servers = [world.add(Sharing(world.scheduler), draw) for _ in range(setup.replicas)]
    moved: list[Server] = []
    world.announce()

    def die(server: Server) -> None:
        server.kill()
        world.withdraw(server)

    def move(server: Server) -> None:
        die(server)
        moved.append(world.add(Sharing(world.scheduler), draw, age_s=0.0))
        world.announce()

    world.after(_LOST_S, world.lose_registry)
    # At least one stays, however few there are.
    leaving = iter(servers[1:])
    for after_s, happens in (
        *((after_s, die) for after_s in _DEATHS_S),
        *((after_s, move) for after_s in _MOVES_S),
    ):
        server = next(leaving, None)
        if server is not None:
            world.after(after_s, happens, server)
    world.after(_FOUND_S, world.find_registry)
    rate = setup.load * setup.replicas / _JOB_S
    end = world.began + setup.lasting_s(rate, _LASTS_S)
    instants = poisson(rate, world.began, end, world.stream("arrivals").random)
    world.call_from_all(trial.calls, instants, deadline_s=_DEADLINE_S)
    trial.run()
    calls = trial.calls
    return trial.result(
        {
            "success": calls.success,
            "extra_tries": world.attempts() - calls.made,
            "moved_answered": sum(server.answered for server in moved),
        }
    )


REGISTRY_LOSS = Scenario(
    name="registry-loss",
    summary="no registry from 5 s to 30 s; three servers die and two move meanwhile",
    source="own",
    load="offered, in parts of what all servers bear",
    replicas=10,
    clients=10,
    default_load=0.3,
    play=_play,
)
