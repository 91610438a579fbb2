"""Everything fails for half a minute: what the callers add to it.

Retries help while few calls fail and harm when all do. The bound is the budget's: attempts are at
most 1.2 for each call and ten a second more for each client.
"""

from __future__ import annotations

from ..arrivals import even
from ..result import Result
from ..scenario import Scenario, Setup
from ..servers import Apart, Failing
from ..trial import Trial

_RATE = 200.0
_LATENCY_S = 0.01
_FROM_S, _TO_S, _LASTS_S = 10.0, 40.0, 60.0
_DEADLINE_S = 1.0


def _play(setup: Setup) -> Result:
    trial = Trial(setup)
    world = trial.world
    calls = trial.calls
    servers = [world.add(Apart(world.scheduler), lambda: _LATENCY_S) for _ in range(setup.replicas)]
    world.announce()
    counts: list[tuple[int, int]] = []

    def change(fault: Failing | None) -> None:
        counts.append((calls.made, world.attempts()))
        for server in servers:
            server.fault = fault

    world.after(_FROM_S, change, Failing(status=500, after_s=_LATENCY_S))
    world.after(_TO_S, change, None)
    rate = _RATE * setup.load
    end = world.began + setup.lasting_s(rate, _LASTS_S)
    world.call_from_all(calls, even(rate, world.began, end), deadline_s=_DEADLINE_S)
    trial.run()
    made, tried = (after - before for before, after in zip(*counts, strict=True))
    budget = trial.settings.budget
    bound = (1 + budget.ratio) * made + budget.per_s * (_TO_S - _FROM_S) * setup.clients
    after = calls.kept_by_second[int(_TO_S) :]
    return trial.result(
        {
            "failing_attempts_per_call": tried / max(1, made),
            "attempts_of_bound": tried / bound,
            "good_first_second": after[0] / rate if after else 0.0,
        }
    )


ALL_FAILING = Scenario(
    name="all-failing",
    summary="all servers answer 500, from 10 s to 40 s",
    source="Google, Site Reliability Engineering, chapter 22",
    load="of 200 calls a second",
    replicas=3,
    clients=1,
    play=_play,
)
