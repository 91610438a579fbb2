"""One of a few servers goes wrong and comes back: the failure family.

Two or three servers and ten clients, evenly spaced calls, all of them safe to repeat. What goes
wrong differs: latency, silence, errors that come fast or slowly, a spike. The models are those of
palantir/dialogue's simulation, whose report is the measure; a server's latency is r * (1 + n/60)
with n requests in flight where that is said, else r.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ..arrivals import even
from ..result import Latencies, Result
from ..scenario import Scenario, Setup
from ..servers import Apart, BlackHole, Failing, Server
from ..trial import Trial
from ..world import World

_SOURCE = "palantir/dialogue, simulation report"
_CAPACITY = 60.0
# Long enough that nothing but silence ends a call: where calls go is what is measured.
_PATIENT_S = 30.0
_USUAL_S = 5.0

Change = Callable[[Server], None]


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one scenario goes.

    Attributes:
        rate: calls a second.
        lasts_s: for so long.
        latency_s: a well server's.
        capacity: requests in flight at which its latency has doubled.
        deadline_s: of each call.
        changes: (seconds from the beginning, what befalls the bad server).
        all_bad: whether it befalls all servers.
        limit: requests that a server takes at once; 0 for any.
    """

    rate: float
    lasts_s: float
    latency_s: float
    capacity: float = float("inf")
    deadline_s: float = _USUAL_S
    changes: tuple[tuple[float, Change], ...] = ()
    all_bad: bool = False
    limit: int = 0


def _latency(latency_s: float) -> Change:
    def change(server: Server) -> None:
        server.draw = lambda: latency_s
        server.fault = None

    return change


def _fault(fault: Failing | BlackHole | None, latency_s: float | None = None) -> Change:
    def change(server: Server) -> None:
        server.fault = fault
        if latency_s is not None:
            server.draw = lambda: latency_s

    return change


def _play(setup: Setup, plan: _Plan) -> Result:
    trial = Trial(setup)
    world = trial.world
    servers = [
        world.add(Apart(world.scheduler, plan.capacity), lambda: plan.latency_s, limit=plan.limit)
        for _ in range(setup.replicas)
    ]
    world.announce()
    for after_s, change in plan.changes:
        for server in servers if plan.all_bad else servers[-1:]:
            world.after(after_s, change, server)
    rate = plan.rate * setup.load
    end = world.began + setup.lasting_s(rate, plan.lasts_s)
    world.call_from_all(trial.calls, even(rate, world.began, end), deadline_s=plan.deadline_s)
    trial.run()
    return trial.result(_details(trial, world))


def _details(trial: Trial, world: World) -> Mapping[str, float]:
    calls = trial.calls
    return {
        "success": calls.success,
        "extra_tries": world.attempts() - calls.made,
        "good_mean_s": Latencies(calls.good_s).mean_s,
    }


def _scenario(name: str, summary: str, plan: _Plan, *, replicas: int = 2) -> Scenario:
    return Scenario(
        name=name,
        summary=summary,
        source=_SOURCE,
        load=f"of {plan.rate:,.0f} calls a second",
        replicas=replicas,
        clients=10,
        play=lambda setup: _play(setup, plan),
    )


FAILURES = (
    _scenario(
        "drastic-slowdown",
        "one of two servers takes 10 s instead of 60 ms, from 3 s to 10 s",
        _Plan(
            rate=200.0,
            lasts_s=20.0,
            latency_s=0.06,
            capacity=_CAPACITY,
            deadline_s=_PATIENT_S,
            changes=((3.0, _latency(10.0)), (10.0, _latency(0.06))),
        ),
    ),
    _scenario(
        "black-hole",
        "one of two servers never answers again, from 3 s",
        _Plan(rate=200.0, lasts_s=10.0, latency_s=0.6, changes=((3.0, _fault(BlackHole())),)),
    ),
    _scenario(
        "fast-503",
        "one of two servers answers 503 at once, from 3 s to 60 s",
        _Plan(
            rate=500.0,
            lasts_s=90.0,
            latency_s=0.12,
            changes=((3.0, _fault(Failing(status=503))), (60.0, _fault(None))),
        ),
    ),
    _scenario(
        "slow-503",
        "one of two servers answers 503 after a second or more, from 3 s to 10 s",
        _Plan(
            rate=200.0,
            lasts_s=15.0,
            latency_s=0.06,
            capacity=_CAPACITY,
            deadline_s=_PATIENT_S,
            changes=(
                (3.0, _fault(Failing(status=503, after_s=None), 1.0)),
                (10.0, _latency(0.06)),
            ),
        ),
    ),
    _scenario(
        "fast-400",
        "one of two servers answers 400 in a sixth of the time, from 3 s to 30 s",
        _Plan(
            rate=100.0,
            lasts_s=60.0,
            latency_s=0.12,
            changes=((3.0, _fault(Failing(status=400, after_s=0.02))), (30.0, _fault(None))),
        ),
    ),
    _scenario(
        "one-big-spike",
        "1,000 calls at once to two servers that take 100 each and refuse the rest",
        _Plan(rate=30_000.0, lasts_s=1 / 30, latency_s=0.15, limit=100),
    ),
    _scenario(
        "all-slow-then-recover",
        "all three servers take 500 ms instead of 60 ms, from 3 s to 10 s",
        _Plan(
            rate=200.0,
            lasts_s=20.0,
            latency_s=0.06,
            capacity=_CAPACITY,
            changes=((3.0, _latency(0.5)), (10.0, _latency(0.06))),
            all_bad=True,
        ),
        replicas=3,
    ),
)
