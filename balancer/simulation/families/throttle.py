"""A service takes 100 calls a second, however many are wanted, and refuses the rest.

Its clients see what share is refused and fail calls by themselves: with K = 2 they go on sending
twice what is accepted. Wanted 150 a second, nothing is held back; of 300 a third; of 1,000 four
fifths. Retries are off, so that every attempt is a call that was wanted.

Source: Google, Site Reliability Engineering, chapter 21.
"""

from __future__ import annotations

from collections.abc import Callable

from ...dispatch import DispatchSettings
from ...policy import BudgetSettings
from ..arrivals import poisson
from ..result import Result
from ..scenario import Scenario, Setup
from ..scheduler import Scheduler
from ..servers import Job
from ..trial import NEVER_EJECTED, Trial

_ACCEPTS = 100.0
_WANTED = (150.0, 300.0, 1000.0)
_LATENCY_S = 0.01
# What a service may take at once beyond its rate: a tenth of a second's worth.
_BURST = 10.0
_WARMUP_S = 5.0
_MEASURED_S = 40.0
_DEADLINE_S = 1.0


class _Quota:
    """The work of a server that takes so many jobs a second and refuses the rest at once."""

    def __init__(self, scheduler: Scheduler, rate: float) -> None:
        self._scheduler = scheduler
        self._rate = rate
        self._left = _BURST
        self._at = scheduler.now

    def attach(self, done: Callable[[Job], None]) -> None:
        self._done = done

    def begin(self, job: Job) -> None:
        scheduler = self._scheduler
        now = scheduler.now
        self._left = min(_BURST, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            scheduler.at(now + job.size_s, self._done, job)
        else:
            job.status, job.nack = 503, True
            scheduler.at(now, self._done, job)

    def cancel(self, job: Job) -> None:
        """A job that is gone is passed over when it is done."""


def _held_back(setup: Setup, wanted: float) -> tuple[float, Trial]:
    """The share of calls that the clients fail by themselves."""
    settings = DispatchSettings(budget=BudgetSettings(ratio=0.0, per_s=0.0), ejection=NEVER_EJECTED)
    trial = Trial(setup, warmup_s=_WARMUP_S, settings=settings)
    world = trial.world
    for _ in range(setup.replicas):
        world.add(_Quota(world.scheduler, _ACCEPTS / setup.replicas), lambda: _LATENCY_S)
    world.announce()
    begun: list[int] = []

    def held() -> int:
        return sum(stats.throttled for client in world.clients for stats in client.stats())

    world.after(_WARMUP_S, lambda: begun.append(held()))
    end = world.began + _WARMUP_S + setup.lasting_s(wanted, _MEASURED_S)
    instants = poisson(wanted, world.began, end, world.stream("arrivals").random)
    world.call_from_all(trial.calls, instants, deadline_s=_DEADLINE_S)
    trial.run()
    return (held() - begun[0]) / len(trial.calls.latencies_s), trial


def _play(setup: Setup) -> Result:
    details = {}
    for wanted in _WANTED:
        share, trial = _held_back(setup, wanted * setup.load)
        details[f"held_back_{wanted:.0f}"] = share
        details[f"goodput_{wanted:.0f}"] = len(trial.calls.good_s) / (
            len(trial.calls.latencies_s) / (wanted * setup.load)
        )
    return trial.result(details)


THROTTLE = Scenario(
    name="throttle",
    summary="100 calls a second are accepted; 150, 300 and 1,000 are wanted",
    source="Google, Site Reliability Engineering, chapter 21",
    load="of what is wanted",
    replicas=1,
    clients=1,
    play=_play,
)
