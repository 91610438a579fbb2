"""A decision log replayed: does it foretell what another policy would have made of it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer import Dispatcher, DispatchSettings
from balancer.policy import BalancingSettings
from balancer.policy.balancing import PickName
from balancer.simulation.arrivals import poisson
from balancer.simulation.calls import Calls
from balancer.simulation.replay import Comparison, Row, compare, read_records
from balancer.simulation.result import Latencies
from balancer.simulation.servers import Apart, Failing, Server, ServerChannel
from balancer.simulation.world import World
from balancer.telemetry import DecisionLog, DecisionSettings

RATE, LASTS_S = 200.0, 15.0
NO_LOAD = float("inf")


class Fleet:
    """Five replicas of 50 ms; something may befall the first from 4 s to 10 s."""

    def __init__(
        self, policy: PickName, *, capacity: float = NO_LOAD, every: int = 1, slower: float = 10.0
    ) -> None:
        settings = DispatchSettings(balancing=BalancingSettings(policy=policy))
        self.world = world = World(1, settings)
        sampling = DecisionSettings(every=every, kept=100_000)
        self.log = DecisionLog(sampling, caller="recorder", clock=world.scheduler)
        world.clients = [
            Dispatcher(
                clock=world.scheduler,
                rng=world.stream("client"),
                registry=world.registry,
                open_channel=lambda address: ServerChannel(world.scheduler, world.servers[address]),
                sweep=world.sweep,
                settings=settings,
                caller="recorder",
                decisions=self.log,
            )
        ]
        gauss = world.stream("jobs").gauss
        self.servers = [
            world.add(Apart(world.scheduler, capacity), lambda: abs(gauss(0.05, 0.01)))
            for _ in range(5)
        ]
        world.announce()
        self.ill: Server = self.servers[0]
        world.after(4.0, setattr, self.ill, "slowness", slower)
        world.after(10.0, setattr, self.ill, "slowness", 1.0)
        self.calls = Calls(world.scheduler, world.began)
        instants = poisson(
            RATE, world.began, world.began + LASTS_S, world.stream("arrivals").random
        )
        world.call_from_all(self.calls, instants, deadline_s=5.0)

    def run(self) -> Latencies:
        self.world.scheduler.run()
        return Latencies(self.calls.latencies_s)

    def share(self) -> float:
        return self.ill.attempts / sum(server.attempts for server in self.servers)

    def replay(self, folder: Path, policy: PickName) -> Comparison:
        self.run()
        path = folder / "decisions.jsonl"
        with path.open("wb") as file:
            self.log.write(file)
        (record,) = read_records(path)
        return compare(record, [BalancingSettings(policy=policy)], seed=1)


def share(row: Row) -> float:
    return row.shares["10.0.0.1:80"]


def test_the_recorded_policy_comes_out_as_it_was_recorded(tmp_path: Path) -> None:
    recorded, again, _ = Fleet("round-robin").replay(tmp_path, "fresh").rows
    assert (again.policy, again.calls) == (recorded.policy, recorded.calls)
    assert again.mean_s == pytest.approx(recorded.mean_s, rel=0.1)
    assert again.p50_s == pytest.approx(recorded.p50_s, rel=0.05)
    assert share(again) == pytest.approx(share(recorded), abs=0.03)


@pytest.mark.parametrize("capacity", [NO_LOAD, pytest.param(10.0, marks=pytest.mark.slow)])
def test_another_policy_comes_out_as_it_would_have_been(tmp_path: Path, capacity: float) -> None:
    comparison = Fleet("round-robin", capacity=capacity).replay(tmp_path, "fresh")
    foretold = comparison.rows[-1]
    other = Fleet("fresh", capacity=capacity)
    true = other.run()
    assert foretold.policy == "fresh"
    assert foretold.mean_s == pytest.approx(true.mean_s, rel=0.1)
    assert foretold.p50_s == pytest.approx(true.percentile(0.5), rel=0.1)
    # When it comes back to a replica that was slow hangs on a single report.
    assert max(share(foretold), other.share()) < 0.15
    if capacity == NO_LOAD:
        assert comparison.capacity is None, "a slow replica was taken for a loaded one"
    else:
        assert comparison.capacity == pytest.approx(capacity, rel=0.5)


def test_a_thinned_log_stands_for_all_calls(tmp_path: Path) -> None:
    fleet = Fleet("round-robin", every=5)
    comparison = fleet.replay(tmp_path, "fresh")
    recorded, again, _ = comparison.rows
    assert comparison.every == 5
    assert again.calls == 5 * recorded.calls == pytest.approx(fleet.calls.made, abs=5)
    assert again.mean_s == pytest.approx(recorded.mean_s, rel=0.15)


def test_failures_and_lost_connections_are_replayed(tmp_path: Path) -> None:
    fleet = Fleet("round-robin", slower=1.0)
    world, (_, failing, lost, *_) = fleet.world, fleet.servers
    world.after(3.0, setattr, failing, "fault", Failing(status=500, after_s=0.02))
    world.after(6.0, lost.kill)
    recorded, again, _ = fleet.replay(tmp_path, "fresh").rows
    assert recorded.attempts_per_call > 1.003
    assert again.attempts_per_call == pytest.approx(recorded.attempts_per_call, abs=0.01)
    for server in (failing, lost):
        address = server.endpoint.address
        assert again.shares[address] == pytest.approx(recorded.shares[address], abs=0.05)


def test_policies_agree_with_themselves_more_than_with_others(tmp_path: Path) -> None:
    comparison = Fleet("fresh", capacity=10.0).replay(tmp_path, "random")
    _, own, other = comparison.rows
    assert own.same is not None
    assert other.same is not None
    assert comparison.decisions > 500
    assert comparison.same_by_chance == pytest.approx(0.2, abs=0.03)
    assert other.same == pytest.approx(comparison.same_by_chance, abs=0.02)
    assert own.same > 2 * comparison.same_by_chance


def test_the_same_log_gives_the_same_figures(tmp_path: Path) -> None:
    first, second = (Fleet("two-choices").replay(tmp_path, "fresh") for _ in range(2))
    assert first == second
