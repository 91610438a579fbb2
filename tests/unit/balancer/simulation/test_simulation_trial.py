"""Worlds, the record of their calls, and what a trial makes of it."""

from __future__ import annotations

import pytest

from balancer.dispatch import DispatchSettings
from balancer.policy import BalancingSettings
from balancer.simulation import Options
from balancer.simulation.arrivals import even
from balancer.simulation.scenario import Setup
from balancer.simulation.servers import Apart, Failing, Server
from balancer.simulation.trial import Trial
from balancer.simulation.world import SERVICE, World

QUICK_S = 0.01


def setup(seed: int = 1, clients: int = 1) -> Setup:
    return Setup(
        scenario="test",
        balancing=BalancingSettings(policy="two-choices"),
        seed=seed,
        replicas=2,
        clients=clients,
        load=1.0,
        calls=0,
    )


def start(count: int = 2, *, warmup_s: float = 0.0, clients: int = 1) -> tuple[Trial, list[Server]]:
    """A trial with quick servers."""
    trial = Trial(setup(clients=clients), warmup_s=warmup_s)
    world = trial.world
    servers = [world.add(Apart(world.scheduler), lambda: QUICK_S) for _ in range(count)]
    world.announce()
    return trial, servers


def load(trial: Trial, rate: float, lasts_s: float, *, retryable: bool = True) -> None:
    world = trial.world
    instants = even(rate, world.began, world.began + lasts_s)
    world.call_from_all(trial.calls, instants, deadline_s=1.0, retryable=retryable)


def test_a_trial_tells_what_its_calls_came_to() -> None:
    trial, servers = start()
    load(trial, 100.0, 2.0)
    trial.run()
    result = trial.result({"more": 1.0})
    assert (result.scenario, result.policy, result.signal) == ("test", "two-choices", "in-flight")
    assert (result.calls, result.failed, result.attempts_per_call) == (200, 0, 1.0)
    assert result.mean_s == pytest.approx(QUICK_S)
    assert result.p999_s == pytest.approx(QUICK_S)
    assert result.details == {"more": 1.0}
    assert sum(server.attempts for server in servers) == 200
    assert trial.world.in_flight() == 0
    assert trial.calls.made_by_second == [100, 100]
    assert trial.calls.kept_by_second == [100, 100]
    assert trial.calls.good_by_second == [99, 100, 1]
    assert trial.calls.success == 1.0


def test_the_warmup_is_not_measured() -> None:
    trial, servers = start(warmup_s=1.0)
    for server in servers:
        server.fault = Failing()
        trial.world.after(0.99, setattr, server, "fault", None)
    load(trial, 100.0, 2.0, retryable=False)
    trial.run()
    result = trial.result()
    assert (result.calls, result.failed, result.attempts_per_call) == (100, 0, 1.0)


def test_failed_calls_count_by_kind_and_with_their_latency() -> None:
    trial, servers = start()
    for server in servers:
        server.fault = Failing(status=400, after_s=0.25)
    load(trial, 10.0, 1.0)
    trial.run()
    assert dict(trial.calls.kinds) == {"service-failed": 10}
    result = trial.result()
    assert (result.calls, result.failed, trial.calls.success) == (10, 10, 0.0)
    assert result.mean_s == pytest.approx(0.25)
    assert not trial.calls.good_s


def test_calls_come_from_all_clients() -> None:
    trial, _ = start(clients=4)
    load(trial, 100.0, 1.0)
    trial.run()
    counts = [client.stats()[0].calls for client in trial.world.clients]
    assert sum(counts) == 100
    assert min(counts) > 10


def test_a_mistake_in_what_is_tried_out_ends_the_trial() -> None:
    trial, servers = start()

    def break_down() -> float:
        raise RuntimeError("no size")

    load(trial, 100.0, 1.0)
    servers[0].draw = break_down
    with pytest.raises(RuntimeError, match="no size"):
        trial.run()


def test_a_mistake_that_production_code_logs_ends_the_trial_too() -> None:
    trial, _ = start()

    def fail(_now: float) -> None:
        raise RuntimeError("swept away")

    class Entry:
        due = 0
        expired = staticmethod(fail)

    trial.world.sweep.add(Entry(), trial.world.began + 0.1)
    load(trial, 100.0, 1.0)
    with pytest.raises(RuntimeError, match="swept away"):
        trial.run()


def test_streams_depend_on_the_seed_and_their_name_alone() -> None:
    def draws(seed: int, name: str, policy: str) -> list[float]:
        settings = DispatchSettings(balancing=BalancingSettings(policy=policy))  # type: ignore[arg-type]
        stream = World(seed, settings, clients=2).stream(name)
        return [stream.random() for _ in range(3)]

    assert draws(1, "arrivals", "two-choices") == draws(1, "arrivals", "random")
    assert draws(1, "arrivals", "random") != draws(2, "arrivals", "random")
    assert draws(1, "arrivals", "random") != draws(1, "jobs", "random")


def test_a_lost_registry_tells_nothing_until_it_is_back() -> None:
    trial, (one, other) = start()
    world = trial.world
    client = world.clients[0]
    client.fleet(SERVICE)
    world.lose_registry()
    world.withdraw(one)
    new = world.add(Apart(world.scheduler), lambda: QUICK_S)
    world.announce()
    assert set(client.fleet(SERVICE).replicas) == {one.endpoint.address, other.endpoint.address}
    world.find_registry()
    assert set(client.fleet(SERVICE).replicas) == {new.endpoint.address, other.endpoint.address}


def test_a_restarted_server_enters_as_a_new_process() -> None:
    trial, (one, _) = start()
    world = trial.world
    fleet = world.clients[0].fleet(SERVICE)
    before = fleet.replicas[one.endpoint.address]
    world.withdraw(one)
    one.kill()
    one.restart(world.next_pid())
    world.enter(one)
    assert fleet.replicas[one.endpoint.address] is not before
    assert len(fleet.replicas) == 2


def test_choices_alone_mean_two_choices_of_that_many() -> None:
    assert Options().balancing() == BalancingSettings()
    three = Options(choices=3).balancing()
    assert (three.policy, three.choices) == ("two-choices", 3)
    named = Options(policy="hot-cold", signal="peak-ewma", choices=3).balancing()
    assert (named.policy, named.signal, named.choices) == ("hot-cold", "peak-ewma", 3)
