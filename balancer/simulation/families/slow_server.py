"""One of eleven servers is slow for half of the time, and does not know it.

It answers everything, so nothing looks wrong but the latency. Round robin sends it its full share;
least loaded sees its attempts pile up; whoever looks at latencies hardly sends it any. The table is
of picks alone, so nobody is ejected; what the whole product makes of it is told beside it.
"""

from __future__ import annotations

from ...dispatch import DispatchSettings
from ..arrivals import even
from ..result import Latencies, Result
from ..scenario import Scenario, Setup
from ..series import note_share
from ..servers import Apart
from ..trial import NEVER_EJECTED, Trial

_RATE = 1000.0
_LASTS_S = 60.0
_MEAN_S, _SPREAD_S = 0.167, 0.005
_SLOW_S = 2.0
_SLOW_FROM_S, _SLOW_TO_S = 15.0, 45.0
# What its users call slow.
_LIMIT_S = 1.0
# Long enough that no call is given up: what is measured is where calls go.
_DEADLINE_S = 20.0


def _measure(setup: Setup, settings: DispatchSettings) -> tuple[Trial, list[float]]:
    """Run it; the second is the slow server's share of the attempts in each second."""
    trial = Trial(setup, settings=settings)
    world = trial.world
    gauss = world.stream("jobs").gauss

    def draw() -> float:
        return gauss(_MEAN_S, _SPREAD_S)

    servers = [world.add(Apart(world.scheduler), draw) for _ in range(setup.replicas)]
    world.announce()

    def change(draw_s: object) -> None:
        servers[0].draw = draw_s  # type: ignore[assignment]

    world.after(_SLOW_FROM_S, change, lambda: _SLOW_S)
    world.after(_SLOW_TO_S, change, draw)
    rate = _RATE * setup.load
    lasts_s = setup.lasting_s(rate, _LASTS_S)
    end = world.began + lasts_s
    share = note_share(world, servers[0], lasts_s)
    world.call_from_all(trial.calls, even(rate, world.began, end), deadline_s=_DEADLINE_S)
    trial.run()
    return trial, share


def _slow_share(trial: Trial) -> float:
    return Latencies(trial.calls.latencies_s).above(_LIMIT_S)


def _play(setup: Setup) -> Result:
    trial, share = _measure(setup, DispatchSettings(ejection=NEVER_EJECTED))
    slow = _slow_share(trial)
    product, _ = _measure(setup, DispatchSettings())
    return trial.result(
        {"slow_share": slow, "success_1s": 1 - slow, "product_slow_share": _slow_share(product)},
        {"share": share},
    )


SLOW_SERVER = Scenario(
    name="slow-server",
    summary="one of 11 servers takes 2 s instead of 167 ms, from 15 s to 45 s of 60 s",
    source="Buoyant, Finagle's load balancers compared, 2016",
    load="of 1,000 calls a second",
    replicas=11,
    clients=1,
    play=_play,
)
