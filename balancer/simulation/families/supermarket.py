"""The supermarket model: servers with a queue each, and one dispatcher that picks among them.

The simplest world in which a policy can be wrong, solved exactly for many servers: so it proves
the picks and the laboratory together. Only `Fleet.pick` and what a fleet hears is the production
code here; calls have no deadline, no budget and no failure, and so the model runs without
dispatchers and attempts, at several hundred thousand calls a second.

A queue in order of arrival needs no events but departures: a job's end is known when it comes,
the later of now and the end of the one before it, plus its size.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from heapq import heappop, heappush
from math import log
from random import Random

import msgspec

from ...dispatch import DispatchSettings
from ...policy import Fleet, Replica
from ...policy.pick.make import signal_name
from ...telemetry import LoadMeter
from ..result import Latencies, Result
from ..scenario import Scenario, Setup
from ..servers import OLD_S, Apart
from ..world import SERVICE, World

# Before the measuring, as a part of the calls: from empty queues to usual ones.
_WARMUP_RATIO = 0.1
# Random numbers are drawn so many at a time: a list is quicker than a call for each.
_BLOCK = 8192
# Signals that nothing but a caller's own attempts in flight goes into: no report need be made.
_OWN = "in-flight"


class _Exponentials:
    """Exponential numbers of a given mean, in blocks.

    Their sample's own mean is made exact, too: else the load that is really offered differs from
    the one that is asked for by a tenth of a per cent in a million calls, and at .95 that is half
    of the error of the result. So each sample is drawn twice, first only to be added up.
    """

    def __init__(self, mean: float, rng: Random) -> None:
        self._mean = mean
        self._rng = rng

    def blocks(self, count: int) -> Iterator[list[float]]:
        """So many numbers."""
        rng = self._rng
        state = rng.getstate()
        drawn = sum(sum(self._draw(size, 1.0)) for size in _sizes(count))
        rng.setstate(state)
        scale = self._mean * count / drawn
        for size in _sizes(count):
            yield self._draw(size, scale)

    def _draw(self, size: int, scale: float) -> list[float]:
        random = self._rng.random
        return [-scale * log(1.0 - random()) for _ in range(size)]


def _sizes(count: int) -> Iterator[int]:
    """Sizes of blocks that make so many together."""
    while count > 0:
        yield min(count, _BLOCK)
        count -= _BLOCK


class _Queues:
    """The servers and their queues."""

    def __init__(self, fleet: Fleet, count: int, now: float) -> None:
        self.fleet = fleet
        self.now = now
        # When each server is through with what it has.
        self.free_at = [0.0] * count
        self.meters = [LoadMeter(now - OLD_S) for _ in range(count)]
        # What is in the queues, by its end.
        self.departures: list[tuple[float, int, Replica, float]] = []
        self.probes = 0

    def serve(self, gaps: list[float], sizes: list[float], latencies_s: array[float]) -> None:
        """Let calls come, where nothing but attempts in flight is looked at."""
        now = self.now
        pick = self.fleet.pick
        free_at = self.free_at
        departures = self.departures
        record = latencies_s.append
        for gap, size in zip(gaps, sizes, strict=True):
            now += gap
            while departures and departures[0][0] <= now:
                heappop(departures)[2].in_flight -= 1
            replica = pick(now)
            assert replica is not None
            position = replica.position
            replica.in_flight += 1
            end = free_at[position]
            end = (end if end > now else now) + size  # noqa: FURB136 - max() costs more here
            free_at[position] = end
            heappush(departures, (end, position, replica, now))
            record(end - now)
        self.now = now

    def serve_and_tell(
        self, gaps: list[float], sizes: list[float], latencies_s: array[float]
    ) -> None:
        """Let calls come, where the fleet hears of latencies and loads."""
        now = self.now
        fleet = self.fleet
        free_at = self.free_at
        departures = self.departures
        for gap, size in zip(gaps, sizes, strict=True):
            now += gap
            while departures and departures[0][0] <= now:
                self._depart(*heappop(departures))
            replica = fleet.pick(now)
            assert replica is not None
            position = replica.position
            replica.in_flight += 1
            replica.attempts += 1
            self.meters[position].in_flight += 1
            end = max(free_at[position], now) + size
            free_at[position] = end
            heappush(departures, (end, position, replica, now))
            latencies_s.append(end - now)
            stale = fleet.probe(now)
            if stale is not None:
                self.probes += 1
                fleet.heard(stale, now, self.meters[stale.position].report(now))
        self.now = now

    def _depart(self, end: float, position: int, replica: Replica, began: float) -> None:
        replica.in_flight -= 1
        latency_s = end - began
        meter = self.meters[position]
        meter.ended(latency_s)
        self.fleet.succeeded(replica, end, replica.attempts, latency_s, meter.report(end))


def _play(setup: Setup) -> Result:
    world = World(
        setup.seed, msgspec.structs.replace(DispatchSettings(), balancing=setup.balancing)
    )
    for _ in range(setup.replicas):
        world.add(Apart(world.scheduler), lambda: 1.0)
    world.announce()
    queues = _Queues(world.clients[0].fleet(SERVICE), setup.replicas, world.began)
    signal = signal_name(setup.balancing)
    tells = signal != _OWN or setup.balancing.policy in ("fresh", "hot-cold")
    serve = queues.serve_and_tell if tells else queues.serve
    arrivals = _Exponentials(1.0 / (setup.load * setup.replicas), world.stream("arrivals"))
    services = _Exponentials(1.0, world.stream("jobs"))

    def play(calls: int) -> array[float]:
        latencies_s = array("d")
        for gaps, sizes in zip(arrivals.blocks(calls), services.blocks(calls), strict=True):
            serve(gaps, sizes, latencies_s)
        return latencies_s

    play(int(setup.calls * _WARMUP_RATIO))
    queues.probes = 0
    latencies = Latencies(play(setup.calls))
    return Result(
        scenario=setup.scenario,
        policy=setup.balancing.policy,
        signal=signal,
        seed=setup.seed,
        replicas=setup.replicas,
        clients=1,
        load=setup.load,
        calls=setup.calls,
        failed=0,
        mean_s=latencies.mean_s,
        p50_s=latencies.percentile(0.5),
        p99_s=latencies.percentile(0.99),
        p999_s=latencies.percentile(0.999),
        attempts_per_call=1.0,
        probes_per_call=queues.probes / setup.calls,
    )


SUPERMARKET = Scenario(
    name="supermarket",
    summary="queues of one server each, unit service time, true lengths known to one dispatcher",
    source='Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996/2001',
    load="offered, in parts of what the servers bear",
    replicas=100,
    clients=1,
    default_load=0.9,
    calls=200_000,
    play=_play,
)
