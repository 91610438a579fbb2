"""The laboratory against queueing theory: if these do not come out, no figure of it counts."""

from __future__ import annotations

from math import log
from typing import Any

import pytest

from balancer.dispatch import DispatchSettings
from balancer.simulation import Options, run
from balancer.simulation.arrivals import poisson
from balancer.simulation.calls import Calls
from balancer.simulation.result import Latencies
from balancer.simulation.servers import Fifo, Sharing
from balancer.simulation.world import World

# The mean size of a job (seconds).
UNIT_S = 0.01


def mean_latency(work: type[Any], draw: Any, rate: float, calls: int) -> float:
    """The mean latency of one server, called by one dispatcher, in mean sizes."""
    world = World(3, DispatchSettings())
    record = Calls(world.scheduler, world.began + 100 * UNIT_S)
    sizes = world.stream("jobs")
    world.add(work(world.scheduler), lambda: UNIT_S * draw(sizes))
    world.announce()
    end = world.began + UNIT_S * calls / rate
    instants = poisson(rate / UNIT_S, world.began, end, world.stream("arrivals").random)
    world.call_from_all(record, instants, deadline_s=60.0)
    world.scheduler.run()
    assert record.ended == record.made
    assert record.failed == 0
    assert world.in_flight() == 0
    return Latencies(record.latencies_s).mean_s / UNIT_S


def exponential(rng: Any) -> float:
    return -log(1.0 - rng.random())


def two_sizes(rng: Any) -> float:
    """Mean 1, and twice the variance of an exponential: sizes 0.5 and 5.5, one in ten."""
    return 5.5 if rng.random() < 0.1 else 0.5


def test_one_queue_is_m_m_1() -> None:
    # The mean time is 1 / (1 - load).
    assert mean_latency(Fifo, exponential, 0.7, 40_000) == pytest.approx(1 / 0.3, rel=0.04)


@pytest.mark.slow
def test_one_queue_of_uneven_jobs_is_m_g_1() -> None:
    # Pollaczek-Khinchine: T = 1 + load * E[S^2] / (2 * (1 - load)); E[S^2] = 3.25
    expected = 1 + 0.6 * 3.25 / (2 * 0.4)
    assert mean_latency(Fifo, two_sizes, 0.6, 40_000) == pytest.approx(expected, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [exponential, two_sizes])
def test_processor_sharing_has_the_same_mean_whatever_the_sizes(draw: Any) -> None:
    # M/G/1-PS: T = 1 / (1 - load), for any distribution of mean 1
    assert mean_latency(Sharing, draw, 0.5, 40_000) == pytest.approx(2.0, rel=0.04)


# Mean time in system, n = 100, as computed for this project; the limits of Mitzenmacher's papers
# lie just below.
SUPERMARKET = [
    (0.50, 2, 1.266),
    *(
        pytest.param(*row, marks=pytest.mark.slow)
        for row in (
            (0.50, 1, 2.0),
            (0.90, 1, 10.0),
            (0.70, 2, 1.615),
            (0.90, 2, 2.648),
            (0.90, 3, 2.051),
            (0.50, 3, 1.128),
        )
    ),
]


@pytest.mark.parametrize(("load", "choices", "expected"), SUPERMARKET)
def test_the_supermarket_comes_out(load: float, choices: int, expected: float) -> None:
    result = run("supermarket", Options(load=load, choices=choices, calls=300_000))
    # One random choice needs many more calls than this to settle at high load.
    assert result.mean_s == pytest.approx(expected, rel=0.04 if choices == 1 else 0.02)
    assert result.policy == ("two-choices")
    assert result.calls == 300_000
    assert result.failed == 0
    assert result.p50_s < result.mean_s < result.p99_s < result.p999_s
