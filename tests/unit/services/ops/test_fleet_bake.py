"""How a new version's figures are judged beside the old one's."""

from __future__ import annotations

import pytest

from services.ops.fleet.bake.comparison import Comparison, Figures, fault
from services.ops.fleet.bake.figures import read_figures
from services.ops.fleet.bake.sampling import Samples


def compared(new: tuple[float, float], old: tuple[float, float], fair: float = 1.0) -> Comparison:
    return Comparison(
        seconds=5.0,
        new=Figures(requests=new[0], errors=new[1]),
        old=Figures(requests=old[0], errors=old[1]),
        fair=fair,
    )


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ((3, 3), (500, 0)),  # every call fails
        ((20, 4), (500, 0)),
        ((1000, 40), (1000, 5)),
        ((2, 2), (400, 0)),  # and callers have turned away from it
        ((15, 15), (0, 0)),  # the first of its kind, and nobody to compare it with
    ],
)
def test_more_errors_than_chance_explains_are_a_fault(
    new: tuple[float, float], old: tuple[float, float]
) -> None:
    assert "requests failed in the new version" in fault(compared(new, old))


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ((0, 0), (500, 0)),
        ((500, 0), (500, 0)),
        ((2, 2), (4, 0)),  # two are no proof
        ((500, 8), (500, 0)),  # the margin's
        ((100, 10), (100, 10)),  # the old one is no better
        ((10, 3), (3, 1)),  # nobody knows what is usual
        ((50, 1), (5000, 0)),  # few calls, and hardly an error
    ],
)
def test_what_chance_explains_is_none(new: tuple[float, float], old: tuple[float, float]) -> None:
    assert fault(compared(new, old)) == ""


def test_a_canary_is_not_held_to_have_been_shunned() -> None:
    # A share of 1 % gets few calls because it was to.
    assert fault(compared((4, 2), (400, 60), fair=0.01)) == ""
    assert fault(compared((4, 2), (400, 60), fair=1.0)) != ""


def latencies(requests: float, usual_s: float, slow_s: float, slow: float) -> Figures:
    """So many requests, a share of them slow."""
    few = requests * (1 - slow)
    bounds = {usual_s / 2: 0.0, usual_s: few, slow_s / 1.01: few, slow_s: requests}
    return Figures(requests=requests, buckets={**bounds, float("inf"): requests})


@pytest.mark.parametrize(
    ("requests", "slow", "found"),
    [(2000, 0.05, "p99"), (500, 0.2, "p90"), (500, 0.05, ""), (50, 0.9, "")],
)
def test_a_high_quantile_far_above_the_old_ones_is_a_fault(
    requests: float, slow: float, found: str
) -> None:
    new = latencies(requests, 0.004, 0.3, slow)
    old = latencies(requests, 0.004, 0.005, slow)
    assert fault(Comparison(seconds=5.0, new=new, old=old))[:3] == found
    # As slow as the old ones is nobody's fault.
    assert fault(Comparison(seconds=5.0, new=new, old=new)) == ""


def test_a_quantile_lies_between_its_bounds() -> None:
    figures = latencies(100, 0.004, 0.3, 0.1)
    assert 0.002 < figures.quantile_s(0.5) <= 0.004
    assert 0.29 < figures.quantile_s(0.99) <= 0.3
    assert Figures().quantile_s(0.99) == 0.0


PAGE = """\
# TYPE mesh_requests_total counter
mesh_requests_total{route="users.fetch",status="200"} 90.0
mesh_requests_total{route="users.fetch",status="404"} 5.0
mesh_requests_total{route="users.find",status="503"} 4.0
mesh_requests_total{route="users.find",status="500"} 1.0
# TYPE mesh_request_seconds histogram
mesh_request_seconds_bucket{route="users.fetch",le="0.001"} 80.0
mesh_request_seconds_bucket{route="users.fetch",le="+Inf"} 95.0
mesh_request_seconds_bucket{route="users.find",le="0.001"} 1.0
mesh_request_seconds_bucket{route="users.find",le="+Inf"} 5.0
mesh_request_seconds_count{route="users.fetch"} 95.0
mesh_request_seconds_sum{route="users.fetch"} 0.5
mesh_request_seconds_sum{route="users.find"} 0.25
# TYPE mesh_calls_total counter
mesh_calls_total{service="products"} 7.0
"""


def test_a_metrics_page_is_read_over_all_routes() -> None:
    assert read_figures(PAGE) == Figures(
        requests=100.0, errors=5.0, seconds=0.75, buckets={0.001: 81.0, float("inf"): 100.0}
    )


def counted(requests: float, errors: float = 0.0) -> Figures:
    return Figures(requests=requests, errors=errors)


def test_what_was_answered_before_does_not_count() -> None:
    samples = Samples()
    assert samples.due("these", 10.0, 1.0)
    samples.add(10.0, {"new": counted(5, 5)}, {"old": counted(900)}, 1.0)
    assert not samples.due("these", 10.5, 1.0)
    assert samples.due("these", 11.0, 1.0)
    samples.add(11.0, {"new": counted(8, 6)}, {"old": counted(950)}, 1.0)
    found = samples.comparison()
    assert found is not None
    assert (found.seconds, found.new.requests, found.new.errors) == (1.0, 3, 1)
    assert found.old.requests == 50


def test_one_that_began_anew_counts_from_there_and_one_that_is_silent_stays() -> None:
    samples = Samples()
    samples.due("these", 0.0, 1.0)
    samples.add(0.0, {"a": counted(100), "b": counted(10)}, {}, 1.0)
    samples.add(1.0, {"a": counted(3), "b": counted(20)}, {}, 1.0)
    samples.add(2.0, {"a": counted(5)}, {}, 1.0)
    found = samples.comparison()
    assert found is not None
    assert found.new.requests == 2 + 10


def test_another_set_of_replicas_is_compared_from_its_beginning() -> None:
    samples = Samples()
    samples.due("one", 0.0, 1.0)
    samples.add(0.0, {"a": counted(0)}, {}, 1.0)
    samples.add(5.0, {"a": counted(9)}, {}, 1.0)
    assert samples.due("both", 5.1, 1.0)
    assert samples.comparison() is None
