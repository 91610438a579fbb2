from __future__ import annotations

from balancer.telemetry import LoadMeter


def serve(meter: LoadMeter, *latencies_s: float) -> None:
    for latency_s in latencies_s:
        meter.in_flight += 1
        meter.ended(latency_s)


def test_the_first_requests_of_a_process_are_no_measure() -> None:
    meter = LoadMeter(0.0)
    serve(meter, 0.5, 0.1, 0.05)
    assert meter.report(1.0).latency_ms == 0.0
    serve(meter, 0.002)
    assert meter.report(1.0).latency_ms == 2.0


def test_a_single_slow_request_does_not_show_and_a_change_does() -> None:
    meter = LoadMeter(0.0)
    serve(meter, *[0.002] * 10, 1.0)
    assert meter.report(1.0).latency_ms == 2.0
    serve(meter, *[0.02] * 9)
    assert meter.report(1.0).latency_ms == 20.0


def test_a_failure_says_nothing_of_latency() -> None:
    meter = LoadMeter(0.0)
    serve(meter, *[0.002] * 10, *[0.0] * 20)
    assert meter.report(1.0).latency_ms == 2.0
    assert meter.in_flight == 0
