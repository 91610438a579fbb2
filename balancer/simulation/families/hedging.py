"""A second attempt for calls that take long: what it saves, and what it costs.

Latencies here have nothing to do with load or with which replica is asked, so that the arithmetic
of hedging alone is seen: with a hedge after h, P(T > t) = P(X > t) * P(X > t - h), and P(X > h)
more attempts. Two kinds of latencies:

*Fan-out*: one answer in a hundred takes a second instead of 10 ms. Of requests that need a hundred
answers each, 63.4 % then wait for at least one slow one; 0.995 % when every call is hedged.
*Exponential*: hedged after its 95th percentile, p99 falls from 4.605 means to 3.800, and p99.9 from
6.908 to 4.952.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import msgspec

from ...dispatch import Dispatcher, DispatchSettings
from ...values import Request
from ..arrivals import even
from ..calls import settle
from ..result import Latencies, Result
from ..scenario import Scenario, Setup
from ..servers import Apart
from ..trial import NEVER_EJECTED, Trial
from ..world import SERVICE

_SHARE = 0.95
_RATE = 1000.0
# The percentile is learned in a window of 1,000 calls, and a wrong one is mended by halves.
_WARMUP_S = 10.0
_DEADLINE_S = 60.0
_MEAN_S = 1.0
_FAN_OUT = 100
_USUAL_S, _SLOW_S, _SLOW_RATIO = 0.01, 1.0, 0.01
# Two usual answers and the wait for the hedge take less; a slow one takes more.
_LIMIT_S = 0.5


def _request(share: float) -> Request:
    return Request(SERVICE, b"GET", b"/v1/thing", hedge=share, operation="fetch")


def _trial(setup: Setup, draw_of: Callable[[Callable[[], float]], float]) -> Trial:
    trial = Trial(setup, warmup_s=_WARMUP_S, settings=DispatchSettings(ejection=NEVER_EJECTED))
    world = trial.world
    random = world.stream("jobs").random
    for _ in range(setup.replicas):
        world.add(Apart(world.scheduler), lambda: draw_of(random))
    world.announce()
    return trial


class _Extra:
    """Hedges for each call, from the end of the warm-up on."""

    def __init__(self, trial: Trial) -> None:
        self._client = trial.world.clients[0]
        self._before = (0, 0)
        trial.world.after(_WARMUP_S, self._begin)

    def ratio(self) -> float:
        """What it is now."""
        hedges, calls = (
            now - before for now, before in zip(self._counts(), self._before, strict=True)
        )
        return hedges / calls

    def _begin(self) -> None:
        self._before = self._counts()

    def _counts(self) -> tuple[int, int]:
        stats = self._client.stats()[0]
        return stats.hedges, stats.calls


def _exponential(setup: Setup, share: float) -> tuple[Trial, float]:
    """Calls of exponential latency, hedged after a share of them or (0) not at all.

    Returns:
        The trial, and hedges for each call.
    """
    trial = _trial(setup, lambda random: -_MEAN_S * log(1.0 - random()))
    world = trial.world
    extra = _Extra(trial)
    end = world.began + _WARMUP_S + setup.calls / _RATE
    world.call_from_all(
        trial.calls,
        even(_RATE, world.began, end),
        deadline_s=_DEADLINE_S,
        request=_request(share),
    )
    trial.run()
    return trial, extra.ratio()


class _FanOut:
    """Requests of many calls each, which take as long as the slowest."""

    def __init__(self, dispatcher: Dispatcher, share: float, since: float) -> None:
        self._dispatcher = dispatcher
        self._request = _request(share)
        self._since = since
        self.requests = 0
        self.slow = 0

    def ask(self) -> None:
        """Make one request."""
        began = self._dispatcher.clock.seconds()
        counted = began >= self._since
        self.requests += counted
        group = _Group()
        for _ in range(_FAN_OUT):
            call = self._dispatcher.call(self._request, began + _DEADLINE_S, settle, retryable=True)
            call.addCallback(self._answered, began, group if counted else None)

    def _answered(self, _status: int, began: float, group: _Group | None) -> None:
        if self._dispatcher.clock.seconds() - began > _LIMIT_S and group is not None:
            self.slow += not group.slow
            group.slow = True


class _Group:
    """One request's calls.

    Attributes:
        slow: whether one of them was.
    """

    __slots__ = ("slow",)

    def __init__(self) -> None:
        self.slow = False


def _fan_out(setup: Setup, share: float) -> tuple[float, float]:
    """The share of requests that were slow, and hedges for each call."""

    def draw(random: Callable[[], float]) -> float:
        return _SLOW_S if random() < _SLOW_RATIO else _USUAL_S

    trial = _trial(setup, draw)
    world = trial.world
    extra = _Extra(trial)
    fan_out = _FanOut(world.clients[0], share, world.began + _WARMUP_S)
    rate = _RATE / _FAN_OUT
    end = world.began + _WARMUP_S + setup.calls / _RATE
    world.feed(even(rate, world.began, end), fan_out.ask)
    trial.run()
    return fan_out.slow / fan_out.requests, extra.ratio()


def _play(setup: Setup) -> Result:
    # For the middle of a distribution half as many calls do.
    plain, _ = _exponential(msgspec.structs.replace(setup, calls=setup.calls // 2), 0.0)
    unhedged = Latencies(plain.calls.latencies_s)
    hedged, extra = _exponential(setup, _SHARE)
    slow, _ = _fan_out(setup, 0.0)
    slow_hedged, fan_out_extra = _fan_out(setup, _SHARE)
    return hedged.result(
        {
            "extra": extra,
            "unhedged_p99_s": unhedged.percentile(0.99),
            "unhedged_p999_s": unhedged.percentile(0.999),
            "fan_out_slow": slow,
            "fan_out_slow_hedged": slow_hedged,
            "fan_out_extra": fan_out_extra,
        }
    )


HEDGING = Scenario(
    name="hedging",
    summary="calls hedged after their 95th percentile; latencies exponential, and slow one in 100",
    source='Dean and Barroso, "The Tail at Scale", CACM 2013',
    load="not used",
    replicas=10,
    clients=1,
    calls=100_000,
    play=_play,
)
