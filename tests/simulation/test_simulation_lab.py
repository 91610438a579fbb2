"""The laboratory's scenarios: the same each time, and as published."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from balancer.errors import ConfigError
from balancer.policy.balancing import PickName
from balancer.simulation import Options, Result, run, scenarios

# Fewer calls where there may be fewer; the rest is quick enough as it is.
QUICK = {
    "supermarket": Options(calls=20_000, seed=5),
    "slow-server": Options(calls=10_000, seed=5),
    "antagonists": Options(calls=8_000, seed=5, replicas=20, clients=20),
    "fairness": Options(calls=20_000, seed=5),
    "fast-503": Options(calls=5_000, seed=5),
    "amplification": Options(calls=100, seed=5),
    "hedging": Options(calls=2_000, seed=5),
    "throttle": Options(calls=1_000, seed=5),
    "metastable": Options(calls=1_000, seed=5),
}
LONG = {"antagonists", "hedging", "metastable", "registry-loss", "rolling-restart", "slow-server"}
NAMES = [
    pytest.param(scenario.name, marks=[pytest.mark.slow] * (scenario.name in LONG))
    for scenario in scenarios()
]


def figures(name: str) -> bytes:
    return msgspec.json.encode(run(name, QUICK.get(name, Options(seed=5))))


def test_scenarios_have_names_of_their_own_and_say_what_they_are() -> None:
    names = [scenario.name for scenario in scenarios()]
    assert len(set(names)) == len(names)
    for scenario in scenarios():
        assert scenario.summary
        assert scenario.source
        assert scenario.load


def test_an_unknown_scenario_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="supermarket"):
        run("supermarkt")


@pytest.mark.parametrize("options", [{"load": 0.0}, {"calls": 0}, {"choices": 0}, {"clients": -1}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        msgspec.structs.replace(Options(), **options)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_figures(name: str) -> None:
    assert figures(name) == figures(name)


@pytest.mark.slow
def test_another_process_gives_the_same_figures() -> None:
    # Another process has other hashes and other addresses; neither may matter.
    names = ("drastic-slowdown", "black-hole", "registry-loss")
    code = (
        "import msgspec; from balancer.simulation import Options, run\n"
        f"for name in {names}:\n"
        "    print(msgspec.json.encode(run(name, Options(seed=9))).decode())\n"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert done[0] == done[1]
    assert len(done[0].splitlines()) == len(names)


def test_another_seed_gives_other_figures() -> None:
    assert run("antagonists", Options(seed=1, replicas=8, clients=8, calls=500)) != run(
        "antagonists", Options(seed=2, replicas=8, clients=8, calls=500)
    )


@pytest.mark.slow
def test_two_choices_find_one_slow_server_as_published() -> None:
    # 0.50 % of the calls are slower than 1 s; 0.07 % by peak EWMA.
    own = run("slow-server", Options(policy="two-choices"))
    assert 0.003 <= own.details["slow_share"] <= 0.007
    peak = run("slow-server", Options(policy="two-choices", signal="peak-ewma"))
    assert peak.details["slow_share"] <= 0.001


@pytest.mark.slow
def test_retries_multiply_over_tiers_as_published() -> None:
    details = run("amplification").details
    assert details["three_attempts"] == pytest.approx(27.0, rel=0.03)
    assert details["budget_10"] == pytest.approx(1.331, rel=0.03)
    assert details["budget_20"] == pytest.approx(1.728, rel=0.03)


@pytest.mark.slow
def test_hedging_saves_and_costs_as_computed() -> None:
    result = run("hedging", Options(calls=30_000))
    details = result.details
    assert result.p99_s == pytest.approx(3.8, rel=0.05)
    assert result.p999_s == pytest.approx(4.952, rel=0.05)
    assert details["unhedged_p99_s"] == pytest.approx(4.605, rel=0.05)
    assert details["extra"] == pytest.approx(0.05, abs=0.01)
    assert details["fan_out_slow"] == pytest.approx(0.634, abs=0.06)
    assert details["fan_out_slow_hedged"] < 0.04
    assert details["fan_out_extra"] == pytest.approx(0.01, abs=0.002)


def test_a_refusing_service_is_asked_for_twice_what_it_accepts() -> None:
    details = run("throttle").details
    assert details["held_back_150"] == pytest.approx(0.0, abs=0.005)
    assert details["held_back_300"] == pytest.approx(1 / 3, rel=0.03)
    assert details["held_back_1000"] == pytest.approx(0.8, rel=0.03)
    for wanted in (150, 300, 1000):
        assert details[f"goodput_{wanted}"] == pytest.approx(100.0, rel=0.05)


def test_two_choices_are_as_even_as_published() -> None:
    details = run("fairness", Options(policy="two-choices")).details
    assert details["spread"] <= 10
    assert details["restored_share"] == pytest.approx(2.0, rel=0.1)
    assert details["highest_share"] <= 2.0


def test_own_counts_of_sparse_clients_say_nothing_and_reports_say_all() -> None:
    # The computed tables: p99 1,595 ms by own counts, 362 ms by the servers' own, at load 0.75.
    def sparse(policy: PickName) -> Result:
        options = Options(policy=policy, load=0.75, replicas=40, clients=40, calls=8_000)
        return run("antagonists", options)

    own = sparse("two-choices")
    assert own.p99_s > 1.0
    assert own.failed == 0
    assert sparse("fresh").p99_s < 0.4
