"""Sums over workers, living and dead."""

from __future__ import annotations

import json
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from services.kit.workers.decisions import joined
from services.kit.workers.totals import Family, Totals, families_of


class Counters(Collector):
    """What one worker counts."""

    def __init__(self, calls: float, seconds: tuple[float, ...] = (), age_s: float = 0.0) -> None:
        self.calls = calls
        self.seconds = seconds
        self.age_s = age_s

    def collect(self) -> Iterable[Metric]:
        calls = CounterMetricFamily("mesh_requests", "Answered.", labels=["route"])
        calls.add_metric(["a"], self.calls)
        yield calls
        latency = HistogramMetricFamily("mesh_request_seconds", "Latency.", labels=["route"])
        under = sum(second <= 0.1 for second in self.seconds)
        buckets = [("0.1", float(under)), ("+Inf", float(len(self.seconds)))]
        latency.add_metric(["a"], buckets, sum(self.seconds))
        yield latency
        yield GaugeMetricFamily("mesh_requests_in_flight", "Now.", self.calls)
        yield GaugeMetricFamily("mesh_registry_age_seconds", "Age.", self.age_s)
        yield GaugeMetricFamily("process_start_time_seconds", "Start.", 1.0)


def told(counters: Counters) -> list[Family]:
    return families_of([counters])


class _Scrape(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> list[Metric]:
        return self.metrics


def text(metrics: list[Metric]) -> list[str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(metrics))
    return [
        line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")
    ]


def test_counters_and_histograms_are_added_up_under_their_own_names() -> None:
    totals = Totals()
    living = [told(Counters(2, (0.05, 0.2), 3.0)), told(Counters(5, (0.06,), 1.0))]
    assert text(totals.metrics(living)) == [
        'mesh_requests_total{route="a"} 7.0',
        'mesh_request_seconds_bucket{le="0.1",route="a"} 2.0',
        'mesh_request_seconds_bucket{le="+Inf",route="a"} 3.0',
        'mesh_request_seconds_count{route="a"} 3.0',
        'mesh_request_seconds_sum{route="a"} 0.31',
        "mesh_requests_in_flight 7.0",
        "mesh_registry_age_seconds 3.0",  # the oldest view is the one to worry about
    ]


def test_what_a_dead_worker_counted_stays_and_its_gauges_vanish() -> None:
    totals = Totals()
    totals.retire(told(Counters(2, (0.05,), 9.0)))
    totals.retire(told(Counters(3)))
    lines = text(totals.metrics([told(Counters(1, (0.5,), 1.0))]))
    assert 'mesh_requests_total{route="a"} 6.0' in lines
    assert 'mesh_request_seconds_count{route="a"} 2.0' in lines
    assert "mesh_requests_in_flight 1.0" in lines
    assert "mesh_registry_age_seconds 1.0" in lines


def test_a_thousand_dead_workers_weigh_no_more_than_one() -> None:
    totals = Totals()
    for _ in range(1000):
        totals.retire(told(Counters(1, (0.05,))))
    assert len(totals._kept) == 2
    assert 'mesh_requests_total{route="a"} 1000.0' in text(totals.metrics([]))


def test_what_means_one_process_is_the_masters_alone() -> None:
    mine = families_of([Counters(0)], of_master=True)
    assert "process_start_time_seconds" in {family.name for family in mine}
    assert "process_start_time_seconds" not in {family.name for family in told(Counters(0))}


def test_decision_logs_become_one_in_the_order_of_time() -> None:
    def log(began: float, *at_s: float) -> str:
        entries = [{"entry": "call", "at_s": at, "attempts": [{"at_s": at}]} for at in at_s]
        return "\n".join(json.dumps(e) for e in ({"caller": "x", "began": began}, *entries))

    first, *entries = [
        json.loads(line)
        for line in joined([log(110.0, 1.0), log(100.0, 2.0, 20.0), ""]).splitlines()
    ]
    assert first == {"caller": "x", "began": 100.0}
    assert [entry["at_s"] for entry in entries] == [2.0, 11.0, 20.0]
    assert [entry["attempts"][0]["at_s"] for entry in entries] == [2.0, 11.0, 20.0]
    assert joined([]) == b""
