"""call, status and load against a mesh that `txmesh up` runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from balancer.telemetry import CallEntry, DecisionEntry, DecisionHeader
from tests.txmesh import Up, start_txmesh, txmesh

pytestmark = pytest.mark.xdist_group("ops")

USER = "u_22yuwt6yiuetv5zn"
SKU = "BDAY-00007"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("mesh"), "users", "products") as running:
        running.status()
        yield running


def replicas(folder: Path) -> list[dict[str, Any]]:
    """The replicas as `txmesh status` tells of them."""
    document = json.loads(txmesh(folder, "status", "--json").stdout)
    assert list(document) == ["registry", "replicas"]
    found: list[dict[str, Any]] = document["replicas"]
    return found


def test_up_prints_its_status_as_one_line(up: Up) -> None:
    document = up.status()
    assert document["registry"]["url"] == f"file:{up.folder / '.mesh' / 'leases'}"
    names = [replica["replica"] for replica in document["replicas"]]
    assert names == ["products-1", "products-2", "users-1", "users-2"]
    for replica in document["replicas"]:
        assert set(replica) == {
            "service", "replica", "address", "admin", "pid", "version", "state", "weight", "age_s",
        }  # fmt: skip
        assert replica["state"] == "ready"
        assert 0 <= replica["age_s"] < 60
        os.kill(replica["pid"], 0)


def test_a_call_prints_its_answer(up: Up) -> None:
    pretty = txmesh(up.folder, "call", "users", "fetch", f"id={USER}")
    assert pretty.returncode == 0
    assert f'\n  "id": "{USER}",\n' in pretty.stdout
    plain = txmesh(up.folder, "call", "users", "fetch", f"id={USER}", "--json")
    assert plain.stdout.count("\n") == 1
    assert json.loads(plain.stdout) == json.loads(pretty.stdout)
    assert plain.stderr == pretty.stderr == ""


def test_a_key_makes_a_repeated_call_one_effect(up: Up) -> None:
    line = ["call", "users", "create", "name=Ada", "email=ada@example.com", "site=greetwell"]
    first = txmesh(up.folder, *line, "--key", "k-1", "--json")
    again = txmesh(up.folder, *line, "--key", "k-1", "--json")
    assert json.loads(first.stdout)["id"] == json.loads(again.stdout)["id"]
    other = txmesh(up.folder, *line, "--key", "k-2", "--json")
    assert other.returncode == 1
    assert json.loads(other.stdout)["error"]["type"] == "email-taken"
    assert other.stderr.startswith("txmesh: users.create was rejected: 409 email-taken: ")


def test_a_call_is_explained(up: Up) -> None:
    done = txmesh(up.folder, "call", "users", "fetch", f"id={USER}", "--explain")
    assert done.returncode == 0
    answer, _, told = done.stdout.partition("\nWhy this replica?\n")
    assert json.loads(answer)["id"] == USER
    assert "This process is new" in told
    assert "because  a draw: " in told
    assert "outcome  200 after " in told
    for replica in replicas(up.folder):
        assert (replica["replica"] in told) == (replica["service"] == "users")


def test_after_a_warm_up_the_loads_are_known(up: Up) -> None:
    line = ["call", "products", "fetch", f"sku={SKU}", "--explain", "--warm", "200", "--json"]
    document = json.loads(txmesh(up.folder, *line).stdout)
    assert list(document) == ["answer", "explain"]
    assert document["answer"]["sku"] == SKU
    explained = document["explain"]
    assert explained["unheard"] is False
    (attempt,) = explained["call"]["attempts"]
    assert attempt["status"] == 200
    assert all(each["reported_s"] > 0 for each in attempt["candidates"])
    assert attempt["why"]


def test_a_call_that_failed_is_explained_too(tmp_path: Path) -> None:
    (tmp_path / "mesh.toml").write_text(
        '[registry]\nurl = "static:users=127.0.0.1:1|127.0.0.1:2"\n'
    )
    line = ["call", "users", "fetch", f"id={USER}", "--explain", "--config", "mesh.toml"]
    done = txmesh(tmp_path, *line)
    assert done.returncode == 1
    assert "another try: users-" in done.stdout
    assert "no answer after " in done.stdout
    assert ": connect" in done.stdout
    document = json.loads(txmesh(tmp_path, *line, "--json").stdout)
    assert list(document) == ["error", "explain"]
    assert document["explain"]["call"]["attempts"][0]["error"] == "connect"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("call products fetch sku=nosuch", 2, "sku cannot be 'nosuch'"),
        ("call products fetch sku=ZZZZ-99999", 1, "was rejected: 404 not-found: "),
        ("call products fecth sku=BDAY-00007", 2, "did you mean 'fetch'"),
        ("call products search limit=many", 2, "a whole number from 1 to 100"),
        ("call greetings popular", 1, "no replica of greetings is announced; start one"),
        ("load greetings popular --rate 5 --duration 1", 1, "no replica of greetings"),
        ("call users fetch id=u_mzxw6ytboi2dsmjq --deadline 0.000001", 1, "deadline"),
        ("up", 1, "already running in"),
    ],
)
def test_a_fault_is_one_line_and_a_status(up: Up, line: str, status: int, said: str) -> None:
    done = txmesh(up.folder, *line.split())
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith("txmesh: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_status_is_a_table(up: Up) -> None:
    done = txmesh(up.folder, "status")
    assert done.returncode == 0
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == [
        "service", "replica", "address", "admin", "pid", "version", "state", "age",
    ]  # fmt: skip
    assert [row.split()[1] for row in rows] == [r["replica"] for r in replicas(up.folder)]


def test_a_replica_that_is_stopped_is_silent(up: Up) -> None:
    frozen = replicas(up.folder)[0]["pid"]
    os.kill(frozen, signal.SIGSTOP)
    try:
        states = [replica["state"] for replica in replicas(up.folder)]
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert states == ["silent", "ready", "ready", "ready"]


def test_a_static_registry_has_states_too(up: Up, tmp_path: Path) -> None:
    address = replicas(up.folder)[0]["address"]
    url = f"static:products={address}|127.0.0.1:1"
    (tmp_path / "mesh.toml").write_text(f'[registry]\nurl = "{url}"\n')
    done = txmesh(tmp_path, "status", "--json", "--config", "mesh.toml")
    found = json.loads(done.stdout)["replicas"]
    assert [(r["state"], r["pid"], r["age_s"]) for r in found] == [
        ("ready", 0, None),
        ("unreachable", 0, None),
    ]


def load(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return txmesh(folder, "load", "products", "fetch", f"sku={SKU}", *options)


def test_a_load_reports_what_became_of_its_calls(up: Up) -> None:
    done = load(up.folder, "--rate", "200", "--duration", "1.5", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert "of 300 calls: " in done.stderr
    assert (report["calls"], report["failed"], report["rejected"]) == (300, 0, 0)
    assert report["attempts"] >= 300
    assert report["seconds"] == pytest.approx(1.5, abs=0.5)
    assert 0 < report["p50_ms"] <= report["p90_ms"] <= report["p99_ms"] <= report["p999_ms"]
    addresses = {r["address"] for r in replicas(up.folder) if r["service"] == "products"}
    assert set(report["replicas"]) == addresses
    assert sum(report["replicas"].values()) == report["attempts"]
    assert min(report["replicas"].values()) > 60


def test_a_load_writes_its_decisions(up: Up) -> None:
    done = load(up.folder, "--rate", "200", "--duration", "1", "--quiet", "--decisions", "d.jsonl")
    assert done.returncode == 0
    first, *lines = (up.folder / "d.jsonl").read_bytes().splitlines()
    header = msgspec.json.decode(first, type=DecisionHeader)
    assert (header.format, header.caller, header.every) == ("txmesh-decisions", "txmesh-load", 1)
    entries = [msgspec.json.decode(line, type=DecisionEntry) for line in lines]
    calls = [entry for entry in entries if isinstance(entry, CallEntry)]
    assert len(calls) == 200
    assert calls[-1].at_s - calls[0].at_s == pytest.approx(1.0, abs=0.5)
    assert {call.status for call in calls} == {200}
    assert all(len(call.attempts[0].candidates) == 2 for call in calls)


def test_a_load_prints_tables_and_may_be_quiet(up: Up) -> None:
    done = load(up.folder, "--rate", "50", "--duration", "1.2", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    rows = done.stdout.splitlines()
    assert rows[0].split() == [
        "calls", "failed", "rejected", "attempts", "seconds", "p50", "p90", "p99", "p99.9",
    ]  # fmt: skip
    assert rows[1].split()[0] == "60"


def test_rejected_calls_are_not_failed(up: Up) -> None:
    line = ["load", "products", "fetch", "sku=ZZZZ-99999", "--rate", "20", "--duration", "0.5"]
    done = txmesh(up.folder, *line, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert (report["rejected"], report["failed"], report["errors"]) == (10, 0, {"not-found": 10})


def test_a_failed_call_makes_a_load_fail(tmp_path: Path) -> None:
    (tmp_path / "mesh.toml").write_text('[registry]\nurl = "static:products=127.0.0.1:1"\n')
    done = load(tmp_path, "--rate", "20", "--duration", "0.2", "--json", "--config", "mesh.toml")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "txmesh: 4 of 4 calls failed"
    assert (report["calls"], report["failed"], sum(report["errors"].values())) == (4, 4, 4)


def test_an_interrupted_load_reports_all_the_same(up: Up) -> None:
    line = ["load", "products", "fetch", f"sku={SKU}", "--rate", "50", "--duration", "60"]
    with start_txmesh(up.folder, *line, "--json") as running:
        # Its first line of progress comes a second after its first call.
        assert running.stderr is not None
        assert "of 3000 calls" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    report = json.loads(out)
    assert running.returncode == 130
    assert 40 <= report["calls"] < 1000
    assert report["failed"] == 0
    assert "ended early" in err


def test_a_replica_that_is_killed_comes_back_and_no_call_fails(up: Up) -> None:
    before = [r for r in replicas(up.folder) if r["service"] == "products"]
    line = ["load", "products", "fetch", f"sku={SKU}", "--rate", "100", "--duration", "60"]
    with start_txmesh(up.folder, *line, "--json") as running:
        assert running.stderr is not None
        running.stderr.readline()
        os.kill(before[0]["pid"], signal.SIGKILL)
        up.until("products-1 is ready again")
        # Long enough for the registry's change to be seen and for calls to reach the newcomer.
        for _ in range(4):
            running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=20)
    report = json.loads(out)
    after = [r for r in replicas(up.folder) if r["service"] == "products"]
    assert after[0]["replica"] == "products-1"
    assert after[0]["pid"] != before[0]["pid"]
    assert report["failed"] == 0
    # The dead one, the other one, and the dead one's successor.
    assert set(report["replicas"]) == {before[0]["address"], *(r["address"] for r in after)}
    assert sum(report["replicas"].values()) == report["attempts"]
    assert "products-1 was killed by signal 9; it is started again in 0.1 s" in up.told()


def test_the_status_of_nothing_fails(tmp_path: Path) -> None:
    done = txmesh(tmp_path, "status", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["replicas"] == []
    assert "start some with `txmesh up`" in done.stderr
