"""One replica goes bad under load, in virtual time: what its callers see of it."""

from __future__ import annotations

from typing import get_args

import pytest

from balancer import DispatchSettings
from balancer.policy import BalancingSettings, Replica
from balancer.policy.balancing import PickName
from balancer.testing import Answer, Behaviour, Breaks, FakeReplica, Silent, World

# One seed for the quick command, and of the policies the default and the one that looks at no load.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3, 4))]
RATE = 500.0
_QUICK = {"fresh", "round-robin"}
POLICIES = [
    pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow)
    for name in get_args(PickName)
]
# These look at load; the others deal calls out whatever comes of them.
BY_LOAD = [each for each in POLICIES if each.values[0] not in {"round-robin", "random", "weighted"}]


def start(seed: int, count: int, policy: PickName = "fresh") -> tuple[World, list[FakeReplica]]:
    """A world in which load has run for a second."""
    balancing = BalancingSettings(policy=policy)
    world = World(seed=seed, settings=DispatchSettings(balancing=balancing))
    replicas = world.add("users", count)
    for replica in replicas:
        replica.keeps = False
    world.load(RATE, 1.0)
    return world, replicas


def assert_all_answered(world: World) -> None:
    world.settle()
    assert set(world.kinds) == {"answered"}, world.kinds
    assert world.in_flight() == 0
    assert all(replica.in_flight == 0 for replica in world.replicas.values())


def attempts(world: World) -> int:
    return world.dispatcher.stats()[0].attempts


def share(world: World, bad: FakeReplica, seconds: float) -> float:
    """What of all attempts goes to one replica from now on."""
    before = bad.attempts, attempts(world)
    world.load(RATE, seconds)
    return (bad.attempts - before[0]) / (attempts(world) - before[1])


def record(world: World, replica: FakeReplica) -> Replica:
    return world.fleet().replicas[replica.endpoint.address]


def wait_for_probe(world: World, bad: FakeReplica) -> None:
    """Go on until its ejection is over and its probe has been answered."""
    left_s = record(world, bad).ejected_until - world.clock.seconds()
    world.load(RATE, left_s + 0.1)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("count", "deadline_s"), [(3, 0.25), (2, 10.0)])
def test_a_frozen_replica_is_left_out_within_600_ms_whatever_the_deadline(
    count: int, deadline_s: float, policy: PickName
) -> None:
    world, (bad, *_) = start(1, count, policy)
    bad.freeze()
    world.load(RATE, 0.6, deadline_s=deadline_s)
    assert record(world, bad).ejected_until
    before = bad.attempts
    world.load(RATE, 2.0, deadline_s=deadline_s)
    assert bad.attempts - before <= 2, "only probes go there"
    bad.thaw()
    wait_for_probe(world, bad)
    assert not record(world, bad).ejected_until
    assert_all_answered(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_call_on_a_replica_that_lives_is_no_silence(seed: int) -> None:
    # One call in fifty takes 3 s, a thousand times as long as the others; some replica has
    # nothing but such a call most of the time.
    world, replicas = start(seed, 3)
    for replica in replicas:
        replica.behaviour = lambda self: Answer(after_s=3.0 if self.attempts % 50 == 0 else 0.002)
    world.load(100.0, 30.0, deadline_s=30.0)
    assert not world.dispatcher.stats()[0].health
    assert_all_answered(world)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_replica_that_is_ten_times_as_slow_gets_few_calls_and_comes_back(
    policy: PickName,
) -> None:
    usual_s = 0.01
    world, replicas = start(1, 3, policy)
    for replica in replicas:
        replica.behaviour = Answer(after_s=usual_s)
    world.load(RATE, 1.0)
    bad = replicas[0]
    bad.behaviour = Answer(after_s=10 * usual_s)
    world.load(RATE, 2.0)
    assert share(world, bad, 3.0) <= 0.05
    assert share(world, bad, 5.0) <= 0.01
    bad.behaviour = Answer(after_s=usual_s)
    was_ejected = record(world, bad).ejected_until
    if was_ejected:
        wait_for_probe(world, bad)
        assert not record(world, bad).ejected_until
        assert share(world, bad, 2.0) >= 0.2
    assert_all_answered(world)


def test_when_all_become_slow_nobody_is_ejected() -> None:
    world, replicas = start(1, 3)
    for replica in replicas:
        replica.behaviour = Answer(after_s=0.05)
    world.load(RATE, 10.0)
    assert not world.dispatcher.stats()[0].health
    assert_all_answered(world)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "failing",
    [
        lambda self: Answer(status=500, after_s=0.0005),
        lambda self: Answer(status=500, after_s=0.0005) if self.attempts % 2 else Answer(),
    ],
    ids=["each", "every other"],
)
def test_a_replica_that_fails_at_once_does_not_draw_the_calls(
    failing: Behaviour, policy: PickName
) -> None:
    world, (bad, *_) = start(1, 3, policy)
    bad.behaviour = failing
    assert share(world, bad, 10.0) < 0.05
    assert_all_answered(world)


@pytest.mark.parametrize("policy", BY_LOAD)
@pytest.mark.parametrize("status", [429, 503])
def test_a_replica_that_refuses_at_once_does_not_draw_the_calls(
    status: int, policy: PickName
) -> None:
    world, (bad, *_) = start(1, 3, policy)
    bad.behaviour = Answer(status=status, after_s=0.0005)
    assert share(world, bad, 10.0) < 0.05
    assert not world.dispatcher.stats()[0].health, "busy is not broken"
    assert_all_answered(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thawed_replica_takes_its_share_again(seed: int) -> None:
    world, (bad, good) = start(seed, 2)
    bad.freeze()
    world.load(RATE, 3.0)
    bad.thaw()
    world.load(RATE, 9.0)
    before = bad.attempts, good.attempts
    world.load(RATE, 1.0)
    assert abs((bad.attempts - before[0]) - (good.attempts - before[1])) < 100
    assert_all_answered(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_replica_costs_no_call(seed: int) -> None:
    world, (bad, _) = start(seed, 2)
    bad.kill()
    before = attempts(world)
    world.load(RATE, 5.0)
    # What it had in flight, two refused connects, then a probe after 1, 2, ... seconds.
    assert attempts(world) - before - 5.0 * RATE <= 10
    assert_all_answered(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lost_machine_costs_no_call(seed: int) -> None:
    world, (bad, *_) = start(seed, 3)
    bad.behaviour = Silent(connected=False)
    world.load(RATE, 5.0)
    assert_all_answered(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replica_that_breaks_connections_costs_no_idempotent_call(seed: int) -> None:
    world, (bad, *_) = start(seed, 3)
    bad.behaviour = Breaks()
    world.load(RATE, 5.0)
    assert_all_answered(world)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "refusal", [Answer(status=503, after_s=0.001), Answer.nack(after_s=0.001)], ids=["503", "nack"]
)
def test_a_replica_that_refuses_quickly_does_not_draw_the_calls(seed: int, refusal: Answer) -> None:
    # Refusing is quick, so it has the fewest in flight, and "fewest in flight wins" sends it
    # nearly everything: the retries use the budget up, and calls fail although a good replica
    # stands beside it. (78 of 100 failed before refusals counted as load.)
    world, (bad, good) = start(seed, 2)
    good.behaviour = Answer(after_s=0.01)
    bad.behaviour = refusal
    had = bad.attempts
    world.load(RATE, 20.0)
    assert bad.attempts - had < 0.02 * RATE * 20
    bad.behaviour = good.behaviour
    assert any(share(world, bad, 5.0) > 0.3 for _ in range(12)), "back within a minute"
    assert_all_answered(world)


def test_refusals_of_all_are_shared_evenly_and_forgotten() -> None:
    world, replicas = start(1, 3)
    for replica in replicas:
        replica.behaviour = Answer.nack()
    world.load(RATE, 10.0)
    for replica in replicas:
        replica.behaviour = Answer(after_s=0.02)
    world.load(RATE, 2.0)
    before = [replica.attempts for replica in replicas]
    world.load(RATE, 2.0)
    world.settle()
    taken = [replica.attempts - had for replica, had in zip(replicas, before, strict=True)]
    assert max(taken) < 2 * min(taken), taken


def test_a_new_replica_is_not_flooded_while_the_others_refuse() -> None:
    world, replicas = start(1, 2)
    for replica in replicas:
        replica.behaviour = lambda self: (
            Answer.nack() if self.in_flight > 2 else Answer(after_s=0.02)
        )
    world.load(RATE, 5.0)
    (new,) = world.add("users", 1)
    new.behaviour = replicas[0].behaviour
    world.load(RATE, 5.0)
    before = [replica.attempts for replica in (*replicas, new)]
    world.load(RATE, 5.0)
    taken = [r.attempts - had for r, had in zip((*replicas, new), before, strict=True)]
    assert taken[2] < 2 * (taken[0] + taken[1]) / 2, taken


@pytest.mark.parametrize("failure", [Answer(status=500), Breaks(), Answer.nack(), Silent()])
@pytest.mark.parametrize("count", [1, 3])
def test_when_all_fail_attempts_stay_within_the_budget(failure: Answer, count: int) -> None:
    world, replicas = start(3, count)
    for replica in replicas:
        replica.behaviour = failure
    before = attempts(world)
    calls, seconds = 200.0, 30.0
    world.load(calls, seconds)
    world.settle()
    assert attempts(world) - before <= 1.2 * (calls * seconds + RATE) + 10.0 * (seconds + 2)
    assert world.in_flight() == 0
    # Of the failures all are of one kind, but for those that throttling fails at once.
    assert len(set(world.kinds) - {"answered", "overloaded"}) <= 1, world.kinds


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rolling_restart_costs_no_call(seed: int) -> None:
    world, replicas = start(seed, 3)
    for old in list(replicas):
        old.behaviour = Answer.draining()
        world.load(RATE, 0.3)
        replicas.remove(old)
        world.announce("users", replicas)
        world.load(RATE, 0.3)
        old.kill()
        replicas += world.add("users", 1)
        world.load(RATE, 0.5)
    assert_all_answered(world)


def test_a_static_replica_that_drained_and_restarted_is_used_again() -> None:
    # A static registry knows no process ids: nothing says that there is a new process.
    world = World(seed=1)
    one, two = world.add("users", 2, pid=0)
    world.load(RATE, 1.0)
    one.behaviour = Answer.draining()
    world.load(RATE, 0.5)
    taken = one.attempts
    world.load(RATE, 0.3)
    assert one.attempts - taken <= 1
    one.kill()
    world.load(RATE, 1.0)
    one.behaviour = Answer()
    world.load(RATE, 9.0)
    before = one.attempts, two.attempts
    world.load(RATE, 1.0)
    assert one.attempts - before[0] > 200
    assert_all_answered(world)


def test_an_ejected_replica_comes_back_although_no_call_may_be_repeated() -> None:
    # A call that cannot be repeated is no probe at first; but where there are no others, somebody
    # must be, or the replica stays out for good.
    world = World(seed=1)
    bad, _ = world.add("users", 2)
    bad.kill()
    world.load(100.0, 2.0, retryable=False)
    bad.behaviour = Answer()
    world.load(100.0, 10.0, retryable=False)
    before = bad.attempts
    world.load(100.0, 1.0, retryable=False)
    assert bad.attempts - before > 30
    assert_all_answered(world)


def test_the_same_seed_gives_the_same_history() -> None:
    def history() -> list[tuple[str, float | None]]:
        world, (bad, *_) = start(7, 3)
        bad.freeze()
        outcomes = world.load(RATE, 2.0)
        bad.thaw()
        world.settle()
        return [(outcome.kind, outcome.ended_at) for outcome in outcomes]

    assert history() == history()
