"""`txmesh simulate`: what it prints, what it refuses, and how a log is replayed from it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from balancer.simulation import scenarios
from balancer.simulation.report import CONTENDERS
from balancer.telemetry import AttemptEntry, CallEntry, CandidateEntry, DecisionHeader
from services.ops.command import run_command
from services.ops.simulate.tables import duration

FIELDS = {
    "scenario", "policy", "seed", "calls", "failed", "mean_s", "p50_s", "p99_s", "p999_s",
    "attempts_per_call",
}  # fmt: skip


def simulate(capsys: pytest.CaptureFixture[str], line: str) -> list[dict[str, Any]]:
    """Run it with --json: the objects of its lines."""
    assert run_command(["simulate", *line.split(), "--json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return [msgspec.json.decode(each) for each in output.out.splitlines()]


def test_the_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["simulate"]) == 0
    printed = capsys.readouterr().out
    listed = simulate(capsys, "")
    assert [each["name"] for each in listed] == [scenario.name for scenario in scenarios()]
    for scenario, each in zip(scenarios(), listed, strict=True):
        assert scenario.name in printed
        assert {"summary", "source", "load", "replicas", "clients", "default_load"} <= each.keys()


def test_a_run_is_an_object_with_the_fields_that_others_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = "supermarket --replicas 20 --choices 2 --load 0.9 --calls 2000 --seed 3"
    (result,) = simulate(capsys, line)
    assert result.keys() >= FIELDS
    assert (result["policy"], result["seed"], result["calls"]) == ("two-choices", 3, 2000)
    assert simulate(capsys, line) == [result], "the same options gave other figures"
    assert simulate(capsys, line.replace("seed 3", "seed 4")) != [result]


def test_several_policies_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    results = simulate(
        capsys, "black-hole --policy round-robin --policy two-choices --signal reported"
    )
    assert [(each["policy"], each["signal"]) for each in results] == [
        ("round-robin", "reported"),
        ("two-choices", "reported"),
    ]
    every = simulate(capsys, "one-big-spike --policy all")
    assert [each["policy"] for each in every] == [contender.policy for contender in CONTENDERS]


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run_command(["simulate", "one-big-spike", "--policy", "random", "--policy", "fresh"]) == 0
    )
    output = capsys.readouterr()
    assert output.err == ""
    lines = output.out.splitlines()
    assert lines[0].startswith("one-big-spike: 1,000 calls at once")
    assert "2 replicas, 10 clients" in lines[1]
    assert [line.split()[0] for line in lines if line.startswith(("random", "fresh"))] == [
        "random", "fresh", "random", "fresh",
    ]  # fmt: skip
    assert "success" in output.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("slow-serer", "there is no scenario 'slow-serer'; did you mean 'slow-server'?"),
        (
            "slow-server --policy round-robbin",
            "no policy 'round-robbin'; did you mean 'round-robin'",
        ),
        ("slow-server --signal report", "there is no signal 'report'; did you mean 'reported'"),
        ("--json slow-server", "put --json behind the name: txmesh simulate slow-server"),
        ("--policy fresh", "which scenario? or a log, with --replay FILE"),
        ("slow-server --replicas 0", "--replicas"),
        ("slow-server --load nan", "number above 0"),
        ("slow-server --chocies 3", "did you mean one of: '--choices'"),
        ("report --only slow-serer", "there is no scenario 'slow-serer'"),
    ],
)
def test_what_is_not_understood_is_one_line(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["simulate", *line.split()]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("txmesh: ")
    assert output.err.count("\n") == 1
    assert said.lower() in output.err.lower()


def test_everything_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("", "report", *(scenario.name for scenario in scenarios())):
        assert run_command(["simulate", *name.split(), "--help"]) == 0
        assert f"txmesh simulate {name}".rstrip() in capsys.readouterr().out


def test_a_report_that_cannot_be_written_says_so_before_anything_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["simulate", "report"]) == 1
    assert "there is no folder 'docs/reference'" in capsys.readouterr().err
    assert run_command(["simulate", "report", "--output", "page.md", "--only", "fairness"]) == 1
    assert "page.json: cannot be read" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.endswith("report.drawing")]:
        monkeypatch.delitem(sys.modules, name)
    assert run_command(["simulate", "report", "--output", "page.md"]) == 1
    assert "pip install 'txmesh[report]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "log.jsonl: cannot be read"),
        ("", "log.jsonl, line 1: not the beginning of a decision log: it is empty"),
        ("hello\n", "log.jsonl, line 1: not the beginning of a decision log"),
        ('{"caller":"me","began":0,"every":1,"version":99}\n', "line 1: version 99 of the log"),
        ('{"caller":"me","began":0,"every":1,"format":"csv"}\n', "line 1: the format is 'csv'"),
        ('{"caller":"me","began":0,"every":1}\n', "no call in it reached a replica"),
        (
            '{"caller":"me","began":0,"every":1}\n\n{"entry":"cal"}\n',
            "log.jsonl, line 3: no decision",
        ),
        (
            '{"caller":"me","began":0,"every":1}\n{"entry":"call","at',
            "truncated; if the log was cut off here, leave this line out",
        ),
    ],
)
def test_what_is_no_decision_log_is_told_with_its_line(
    text: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("log.jsonl").write_text(text)
    assert run_command(["simulate", "--replay", "log.jsonl", "--policy", "random"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert said in output.err


def entry(at_s: float, picked: str) -> CallEntry:
    """A call that one of two replicas answered: a in 10 ms, b in 50."""
    seen = [CandidateEntry(replica=name, address=name, compared=True) for name in ("a", "b")]
    attempt = AttemptEntry(
        at_s=at_s,
        kind="first",
        picked=picked,
        why="it was its turn",
        known=2,
        available=2,
        compared=2,
        candidates=seen,
        latency_s=0.01 if picked == "a" else 0.05,
        status=200,
    )
    return CallEntry(
        at_s=at_s,
        service="users",
        retryable=True,
        deadline_s=1.0,
        policy="round-robin",
        signal="in-flight",
        attempts=[attempt],
        latency_s=attempt.latency_s,
        status=200,
        balance=10.0,
    )


def test_a_log_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = DecisionHeader(caller="me", began=0.0, every=1)
    entries = [entry(number / 50, "ab"[number % 2]) for number in range(200)]
    log = tmp_path / "log.jsonl"
    log.write_bytes(msgspec.json.Encoder().encode_lines([header, *entries]))
    (comparison,) = simulate(capsys, f"--replay {log} --policy fresh --policy round-robin")
    assert (comparison["service"], comparison["decisions"]) == ("users", 200)
    recorded, again, fresh = comparison["rows"]
    assert (recorded["replayed"], recorded["calls"], recorded["same"]) == (False, 200, None)
    assert (again["policy"], again["shares"]) == ("round-robin", {"a": 0.5, "b": 0.5})
    assert again["mean_s"] == pytest.approx(0.03, rel=0.001)
    assert fresh["policy"] == "fresh"
    assert fresh["shares"]["a"] > 0.7, "the faster one did not get more"
    assert fresh["mean_s"] < 0.025
    assert run_command(["simulate", "--replay", str(log)]) == 0
    printed = capsys.readouterr().out
    assert "users: every call recorded" in printed
    assert "Same picks: of 200 decisions" in printed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.0123456, "12.35 ms"), (1.5, "1.5 s"), (4321.0, "4,321 s")],
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
