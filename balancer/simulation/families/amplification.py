"""Three tiers, and everything at the bottom fails: how many attempts one request becomes.

Each tier's servers call the next with a dispatcher of their own, so each tier retries what the one
below it failed to. Three attempts at each of three tiers make 27 of one; under a budget of a tenth
it is 1.1 to the third power. The figures are attempts at the bottom for each call at the top.

Source: Google, Site Reliability Engineering, chapter 22.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from ...dispatch import Dispatcher, DispatchSettings
from ...errors import CallError
from ...policy import BudgetSettings, ThrottleSettings
from ...values import Request
from ..arrivals import even
from ..calls import settle
from ..result import Result
from ..scenario import Scenario, Setup
from ..servers import Apart, Failing, Job
from ..trial import NEVER_EJECTED, Trial
from ..world import SERVICE

_RATE = 100.0
_LASTS_S = 20.0
# At the top there is time for everything below, so that only budgets and attempts set the bounds.
_DEADLINES_S = (60.0, 10.0, 2.0)
_TIERS = (SERVICE, "middle", "bottom")
_LEAF_S = 0.001
_NO_THROTTLE = ThrottleSettings(k=0.0)
_UNBOUNDED = BudgetSettings(ratio=1.0, per_s=1_000_000.0)


class _Calling:
    """The work of a server that calls the next tier, and answers what comes of it."""

    def __init__(self, dispatcher: Dispatcher, service: str, deadline_s: float) -> None:
        self._dispatcher = dispatcher
        self._request = Request(service, b"GET", b"/v1/thing")
        self._deadline_s = deadline_s
        self._running: dict[Job, Deferred[int]] = {}

    def attach(self, done: Callable[[Job], None]) -> None:
        self._done = done

    def begin(self, job: Job) -> None:
        deadline = self._dispatcher.clock.seconds() + self._deadline_s
        call = self._dispatcher.call(self._request, deadline, settle, retryable=True)
        self._running[job] = call
        call.addBoth(self._ended, job)

    def cancel(self, job: Job) -> None:
        self._running[job].cancel()

    def _ended(self, outcome: object, job: Job) -> None:
        del self._running[job]
        if isinstance(outcome, Failure):
            outcome.trap(CallError, CancelledError)
            job.status = 500
        self._done(job)


def _measure(setup: Setup, settings: DispatchSettings, replicas: int) -> Trial:
    """Run it under these settings, at every tier the same."""
    trial = Trial(setup, settings=settings)
    world = trial.world
    for tier, service in enumerate(_TIERS[:-1]):
        for number in range(replicas):
            dispatcher = world.client(f"{service}-{number}", trial.settings)
            calling = _Calling(dispatcher, _TIERS[tier + 1], _DEADLINES_S[tier + 1])
            world.add(calling, lambda: 0.0, service)
        world.announce(service)
    for _ in range(replicas):
        leaf = world.add(Apart(world.scheduler), lambda: _LEAF_S, _TIERS[-1])
        leaf.fault = Failing(status=500, after_s=_LEAF_S)
    world.announce(_TIERS[-1])
    rate = _RATE * setup.load
    end = world.began + setup.lasting_s(rate, _LASTS_S)
    world.call_from_all(trial.calls, even(rate, world.began, end), deadline_s=_DEADLINES_S[0])
    trial.run()
    return trial


def _factor(trial: Trial) -> float:
    bottom = (
        server for server in trial.world.servers.values() if server.endpoint.service == _TIERS[-1]
    )
    return sum(server.attempts for server in bottom) / trial.calls.made


def _play(setup: Setup) -> Result:
    def factor(attempts: int, budget: BudgetSettings) -> float:
        settings = DispatchSettings(
            attempts=attempts, budget=budget, ejection=NEVER_EJECTED, throttle=_NO_THROTTLE
        )
        return _factor(_measure(setup, settings, setup.replicas))

    product = _measure(setup, DispatchSettings(), setup.replicas)
    return product.result(
        {
            "three_attempts": factor(3, _UNBOUNDED),
            "budget_10": factor(4, BudgetSettings(ratio=0.1, per_s=0.0)),
            "budget_20": factor(4, BudgetSettings(ratio=0.2, per_s=0.0)),
            "product": _factor(product),
        }
    )


AMPLIFICATION = Scenario(
    name="amplification",
    summary="three tiers call each other, and everything at the bottom fails",
    source="Google, Site Reliability Engineering, chapter 22",
    load="of 100 calls a second",
    replicas=3,
    clients=1,
    play=_play,
)
