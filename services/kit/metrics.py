"""Metrics for Prometheus: our plain counters, put in its form when it asks.

The counters of the data path are plain numbers, because a labelled Prometheus counter costs a
microsecond an event. This collector reads them once a scrape.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from balancer.telemetry import CallStats, Histogram

if TYPE_CHECKING:
    from balancer.discovery import View
    from clients import Mesh

    from .server import Server

# Every so many of the fine buckets of a caller's histogram becomes one of Prometheus's.
_EVERY = 8


class ReplicaCollector:
    """Reads the counters of one replica: what it serves and what it calls."""

    def __init__(self, server: Server, mesh: Mesh) -> None:
        """Take the server's port and the replica's own calls."""
        self._server = server
        self._mesh = mesh

    def collect(self) -> Iterable[Metric]:
        """All metrics as of now."""
        yield from self._served()
        stats = self._mesh.stats()
        if stats:
            yield from _called(stats)
        yield from _discovered(self._mesh.view)

    def _served(self) -> Iterable[Metric]:
        serving = self._server.serving
        requests = CounterMetricFamily(
            "mesh_requests", "Answered requests.", labels=["route", "status"]
        )
        latency = HistogramMetricFamily(
            "mesh_request_seconds", "From the whole request to its answer.", labels=["route"]
        )
        named = [(route.name, route.stats) for route in serving.site.routes]
        for name, stats in [*named, ("unrouted", serving.unrouted)]:
            for status, count in sorted(stats.statuses.items()):
                requests.add_metric([name, str(status)], count)
            if stats.latency_s.total:
                _add_histogram(latency, [name], stats.latency_s, 1)
        yield requests
        yield latency
        refused = CounterMetricFamily(
            "mesh_refused_messages", "Messages that were no usable HTTP.", labels=["status"]
        )
        for status, count in sorted(serving.bad_messages.items()):
            refused.add_metric([str(status)], count)
        yield refused
        in_flight = serving.meter.in_flight
        yield GaugeMetricFamily("mesh_requests_in_flight", "Begun, not ended.", in_flight)
        yield GaugeMetricFamily("mesh_connections", "Open connections.", self._server.connections)
        yield CounterMetricFamily(
            "mesh_load_probes_answered", "Load probes answered; no requests.", serving.probes
        )
        leaving = int(serving.meter.draining)
        yield GaugeMetricFamily("mesh_draining", "1 while the replica is leaving.", leaving)


def _called(every: list[CallStats]) -> Iterable[Metric]:
    calls = CounterMetricFamily("mesh_calls", "Ended calls to a service.", labels=["service"])
    attempts = CounterMetricFamily(
        "mesh_attempts",
        "Attempts; those beyond the calls are retries and hedges.",
        labels=["service"],
    )
    hedges = CounterMetricFamily(
        "mesh_hedges",
        "Attempts begun while another of the same call ran.",
        labels=["service"],
    )
    throttled = CounterMetricFamily(
        "mesh_calls_throttled",
        "Calls not sent, because the service refuses nearly all.",
        labels=["service"],
    )
    probes = CounterMetricFamily(
        "mesh_load_probes", "Load probes sent; no attempts.", labels=["service"]
    )
    failures = CounterMetricFamily(
        "mesh_call_failures", "Calls without the service's answer.", labels=["service", "kind"]
    )
    rejected = CounterMetricFamily(
        "mesh_call_rejections", "Calls that ended in a 4xx.", labels=["service"]
    )
    health = CounterMetricFamily(
        "mesh_replica_health", "Changes of health.", labels=["service", "change", "reason"]
    )
    latency = HistogramMetricFamily(
        "mesh_call_seconds", "From a call to its end.", labels=["service"]
    )
    for stats in every:
        calls.add_metric([stats.service], stats.calls)
        attempts.add_metric([stats.service], stats.attempts)
        hedges.add_metric([stats.service], stats.hedges)
        throttled.add_metric([stats.service], stats.throttled)
        probes.add_metric([stats.service], stats.probes)
        rejected.add_metric([stats.service], stats.rejected)
        for kind, count in sorted(stats.failures.items()):
            failures.add_metric([stats.service, kind], count)
        for (change, why), count in sorted(stats.health.items()):
            health.add_metric([stats.service, change, why], count)
        if stats.latency_s.total:
            _add_histogram(latency, [stats.service], stats.latency_s, _EVERY)
    return [calls, attempts, hedges, throttled, probes, failures, rejected, health, latency]


def _discovered(view: View) -> Iterable[Metric]:
    age_s = view.age_s()
    if age_s is not None:
        yield GaugeMetricFamily(
            "mesh_registry_age_seconds",
            "Since the registry told or confirmed what calls go by.",
            age_s,
        )
    held = GaugeMetricFamily(
        "mesh_replicas_held",
        "Replicas that are used though the registry tells of them no more.",
        labels=["service"],
    )
    for service, count in sorted(view.held().items()):
        held.add_metric([service], count)
    yield held


def _add_histogram(
    family: HistogramMetricFamily, labels: list[str], histogram: Histogram, every: int
) -> None:
    buckets = []
    passed = 0
    for index, bound in enumerate(histogram.bounds):
        passed += histogram.counts[index]
        if (index + 1) % every == 0:
            buckets.append((f"{bound:.6g}", float(passed)))
    buckets.append(("+Inf", float(histogram.total)))
    family.add_metric(labels, buckets, histogram.sum)


def process_collector() -> Collector:
    """Counts what the process itself takes: memory, CPU, files."""
    return ProcessCollector(registry=None)


class Exposition:
    """The text that Prometheus scrapes."""

    def __init__(self, *collectors: Collector) -> None:
        """Take what counts; what Python runs it is added."""
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in collectors:
            self._registry.register(collector)
        PlatformCollector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics as of now."""
        return generate_latest(self._registry)
