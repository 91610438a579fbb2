"""Why this replica, on a terminal of 80 columns and as a document."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from balancer.telemetry import AttemptEntry, CallEntry, DecisionSettings, HealthEntry
from balancer.testing import Answer, FakeReplica, Refuses, World
from services.ops.explain import explain, show, span
from services.ops.reports import ExplainReport

ALL = DecisionSettings(every=1)


def shown(report: ExplainReport, *, width: int = 80, may_warm: bool = True) -> str:
    file = io.StringIO()
    show(report, Console(file=file, width=width, highlight=False), may_warm=may_warm)
    text = file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    return text


def reporting(replica: FakeReplica) -> Answer:
    load = f"in-flight={replica.in_flight}, latency-ms=12.25, age-s=3".encode()
    return Answer(headers=((b"Mesh-Load", load),))


def test_a_first_call_knows_nothing_and_says_so() -> None:
    world = World(seed=1, decisions=ALL)
    world.add("users", 3)
    world.call()
    world.settle()
    report = explain(world.dispatcher.decisions)
    assert report.unheard
    text = shown(report)
    words = " ".join(text.split())
    assert "Policy fresh, signal expected. The retry budget holds 10.2 attempts." in text
    assert "had heard of no replica's load" in words
    assert "--warm 50" in words
    assert "--warm" not in shown(report, may_warm=False)
    assert "because  a draw: none of the 2 compared has reported yet" in text
    assert "outcome  200 after 2.00 ms" in text
    heading, *rows = [line.split() for line in text.splitlines()[-5:-1]]
    assert heading == ["replica", "load", "own", "others", "cost", "latency", "heard"]
    marks = [row[0] for row in rows]
    assert marks[:2] == [">", "*"]
    assert marks[2].startswith("users-")


def test_with_everything_to_tell_it_still_fits() -> None:
    world = World(seed=2, decisions=ALL)
    for replica in world.add("greetings", 14):
        replica.behaviour = reporting
    world.load(100, 1.0, "greetings")
    # Newcomers weigh less, one is ejected, some have failed of late.
    for replica in world.add("greetings", 2):
        replica.behaviour = Refuses()
    world.load(500, 1.5, "greetings")
    for replica in world.replicas.values():
        replica.behaviour = Answer(status=500)
    world.call("greetings")
    world.settle()
    report = explain(world.dispatcher.decisions)
    assert not report.unheard
    assert len(report.call.attempts) == 4
    text = shown(report)
    assert "Attempt 2 (retry) at 2.00 ms: greetings-" in text
    assert "  because  another try: greetings-" in text
    assert "4 more replicas are not shown" in text
    heading = next(line for line in text.splitlines() if line.split()[:1] == ["replica"])
    assert heading.split() == [
        "replica", "load", "own", "others", "cost", "latency", "heard", "faults", "weight",
        "state",
    ]  # fmt: skip
    assert "greetings-16 was ejected for " in text
    shown(report, width=40)


def test_a_call_without_a_replica_is_explained_too() -> None:
    world = World(decisions=ALL)
    world.call()
    report = explain(world.dispatcher.decisions)
    assert "No replica was picked: no-replicas." in shown(report)
    assert msgspec.json.decode(msgspec.json.encode(report), type=ExplainReport) == report


@pytest.mark.parametrize(
    ("attempt", "ended", "said"),
    [
        ({"status": 503}, "overloaded", "503 after 1.50 ms"),
        ({"error": "connect"}, "connect", "no answer after 1.50 ms: connect"),
        ({"error": "cancelled"}, "", "given up after 1.50 ms: another attempt was faster"),
        ({"error": "cancelled"}, "rejected", "given up after 1.50 ms: another attempt was faster"),
        ({"error": "cancelled"}, "cancelled", "no answer after 1.50 ms: cancelled"),
    ],
)
def test_how_an_attempt_ended(attempt: dict[str, object], ended: str, said: str) -> None:
    common = {
        "at_s": 1.0, "kind": "first", "picked": "a:1", "why": "its turn", "known": 1,
        "available": 1, "compared": 1, "candidates": [{"replica": "a", "address": "a:1"}],
        "latency_s": 0.0015,
    }  # fmt: skip
    call = CallEntry(
        at_s=1.0,
        service="users",
        retryable=True,
        deadline_s=1.0,
        policy="round-robin",
        signal="in-flight",
        attempts=[msgspec.convert({**common, **attempt}, AttemptEntry)],
        latency_s=0.0015,
        error=ended,
        balance=10.0,
    )
    change = HealthEntry(
        at_s=0.5, service="users", replica="a", address="a:1", change="kept", reason="failures",
        why="5 failures in a row; but too few would be left",
    )  # fmt: skip
    text = shown(ExplainReport(call=call, health=[change], unheard=False))
    assert f"outcome  {said}\n" in text
    assert "a was kept: 5 failures in a row; but too few would be left\n" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 ms"),
        (0.00042, "0.42 ms"),
        (0.0123, "12.3 ms"),
        (0.4, "400 ms"),
        (4.56, "4.56 s"),
    ],
)
def test_spans_have_three_digits(seconds: float, text: str) -> None:
    assert span(seconds) == text
