"""A trigger, its removal, and whether the overload stays.

Overload that feeds on itself outlives its cause: queues full of calls whose callers have given up,
and callers that try again. Here the load is five times what the servers bear for ten seconds, then
0.7 times again. The goodput should be back within five seconds.

Source: Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021.
"""

from __future__ import annotations

from math import log

from ..arrivals import steps
from ..result import Result
from ..scenario import Scenario, Setup
from ..servers import Fifo
from ..trial import Trial

_JOB_S = 0.01
_DEADLINE_S = 1.0
# Half a deadline's worth of work: what is taken can still be answered in time.
_LIMIT = 50
_BEFORE_S, _TRIGGER_S, _AFTER_S = 10.0, 10.0, 20.0
_TRIGGER = 5.0
# Of the calls that are made in a second so many must be answered well, so long after the trigger.
_RECOVERED = 0.95
_RECOVERY_S = 5


def _play(setup: Setup) -> Result:
    trial = Trial(setup)
    world = trial.world
    random = world.stream("jobs").random
    for _ in range(setup.replicas):
        world.add(
            Fifo(world.scheduler),
            lambda: -_JOB_S * log(1.0 - random()),
            limit=_LIMIT,
            drops_late=True,
        )
    world.announce()
    capacity = setup.replicas / _JOB_S
    usual = setup.load * capacity
    instants = steps(
        (
            (_BEFORE_S, usual),
            (_TRIGGER_S, _TRIGGER * capacity),
            (setup.lasting_s(usual, _AFTER_S), usual),
        ),
        world.began,
        world.stream("arrivals").random,
    )
    world.call_from_all(trial.calls, instants, deadline_s=_DEADLINE_S)
    trial.run()
    calls = trial.calls
    good = calls.good_by_second
    over = int(_BEFORE_S + _TRIGGER_S)
    during = good[int(_BEFORE_S) : over]
    after = list(zip(calls.kept_by_second, calls.made_by_second, strict=False))[over:]
    # The last second in which too few of the calls were kept is the end of the overload.
    ill = [second for second, (kept, made) in enumerate(after, 1) if kept < _RECOVERED * made]
    late = after[_RECOVERY_S:]
    return trial.result(
        {
            "goodput_during": sum(during) / _TRIGGER_S / capacity,
            "recovery_s": max(ill, default=0),
            "goodput_5s_after": (
                sum(kept for kept, _ in late) / max(1, sum(made for _, made in late))
            ),
        },
        {"goodput": [count / capacity for count in good]},
    )


METASTABLE = Scenario(
    name="metastable",
    summary="five times what the servers bear for 10 s, then 0.7 times again",
    source='Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021',
    load="before and after the trigger, in parts of what the servers bear",
    replicas=5,
    clients=10,
    default_load=0.7,
    play=_play,
)
