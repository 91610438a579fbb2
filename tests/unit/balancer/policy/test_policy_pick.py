from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer import Endpoint
from balancer.policy import BalancingSettings, Replica
from balancer.policy.balancing import PickName, SignalName
from balancer.policy.pick import Choices, Picker, make_keyed, make_picker
from balancer.policy.signals import SIGNALS

POLICIES: tuple[PickName, ...] = get_args(PickName)
# Those that look at load, and those that do not.
BLIND: tuple[PickName, ...] = ("round-robin", "random", "weighted")
SIGHTED = tuple(name for name in POLICIES if name not in BLIND)


def some(count: int) -> list[Replica]:
    return [
        Replica(Endpoint(service="users", replica=f"users-{n}", address=f"10.0.0.{n}:80"))
        for n in range(count)
    ]


def picker(
    policy: PickName, replicas: list[Replica], seed: int = 1, signal: SignalName = ""
) -> Picker:
    made = make_picker(BalancingSettings(policy=policy, signal=signal), random.Random(seed).random)
    made.update(replicas)
    return made


def picks(pick: Picker, times: int, now: float = 1.0) -> Counter[Replica]:
    return Counter(pick.pick(now, None) for _ in range(times))


def serve(
    pick: Picker,
    times: int,
    running: int,
    latency_s: Callable[[Replica], float] = lambda replica: 0.01,
) -> Counter[Replica]:
    """Calls of which so many are always under way; each answer brings a report."""
    now = 1.0
    under_way: deque[Replica] = deque()
    seen: Counter[Replica] = Counter()
    for number in range(times):
        now += 0.001
        replica = pick.pick(now, None)
        assert replica in pick.compared
        seen[replica] += 1
        replica.in_flight += 1
        under_way.append(replica)
        if len(under_way) > running:
            answering = under_way.popleft()
            answering.in_flight -= 1
            answering.heard_at = now
            answering.report_latency_s = latency_s(answering)
            answering.cost_s = answering.report_latency_s
            pick.heard(answering, now)
        if number % 500 == 0:
            pick.refresh(now)
    for replica in under_way:
        replica.in_flight -= 1
    return seen


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_equal_replicas_get_equal_parts(policy: PickName, count: int) -> None:
    replicas = some(count)
    seen = serve(picker(policy, replicas), 6000, 2 * count)
    assert len(seen) == count
    # 5 standard deviations of a binomial count: nothing is less even than chance.
    assert all(abs(seen[one] - 6000 / count) < 5 * (6000 / count) ** 0.5 for one in replicas)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("running", [0, 40])
def test_who_weighs_half_gets_half_and_the_young_a_little(policy: PickName, running: int) -> None:
    replicas = some(10)
    replicas[3].weight = 0.5
    replicas[7].weight = 0.1
    seen = serve(picker(policy, replicas), 20_000, running)
    full = (20_000 - seen[replicas[3]] - seen[replicas[7]]) / 8
    # A call more or less is much for whoever should have half of one in flight.
    assert 0.4 < seen[replicas[3]] / full < 0.7
    assert 0.02 < seen[replicas[7]] / full < 0.25


@pytest.mark.parametrize("policy", SIGHTED)
def test_who_has_most_to_do_is_left_alone(policy: PickName) -> None:
    replicas = some(4)
    replicas[2].in_flight = 1000
    pick = picker(policy, replicas)
    assert serve(pick, 1000, 4)[replicas[2]] == 0


@pytest.mark.parametrize("policy", SIGHTED)
def test_a_refusal_weighs_like_an_attempt_in_flight(policy: PickName) -> None:
    one, other = some(2)
    pick = picker(policy, [one, other])
    for refused, in_flight, lighter in ((4.5, 2, other), (2.5, 5, one)):
        one.refusals = refused
        other.in_flight = in_flight
        for replica in (one, other):
            replica.heard_at = 1.0
            pick.heard(replica, 1.0)
        assert set(picks(pick, 50)) == {lighter}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("value", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_edges_of_the_random_source_stay_inside(
    policy: PickName, value: float, count: int
) -> None:
    replicas = some(count)
    pick = make_picker(BalancingSettings(policy=policy), lambda: value)
    pick.update(replicas)
    assert all(pick.pick(1.0, None) in replicas for _ in range(count + 1))


moves = st.lists(
    st.one_of(
        st.tuples(st.just("pick"), st.sampled_from([None, "a", "b"])),
        st.tuples(st.just("end"), st.integers(0, 20)),
        st.tuples(st.just("fleet"), st.sets(st.integers(0, 4), min_size=1)),
        st.tuples(st.just("weigh"), st.integers(0, 4)),
        st.tuples(st.just("wait"), st.floats(0, 2)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(policy=st.sampled_from(POLICIES), moves=moves, seed=st.integers(0, 20), keyed=st.booleans())
def test_a_pick_is_always_one_of_those_that_may_be_picked(
    policy: PickName, moves: list[tuple[str, object]], seed: int, keyed: bool
) -> None:
    every = some(5)
    here = every
    make = make_keyed if keyed else make_picker
    pick = make(BalancingSettings(policy=policy), random.Random(seed).random)
    pick.update(here)
    now = 10.0
    under_way: list[Replica] = []
    for what, which in moves:
        match which:
            case None | str():
                replica = pick.pick(now, which)
                assert replica in here
                assert replica in pick.compared
                assert set(pick.compared) <= set(here)
                replica.in_flight += 1
                under_way.append(replica)
            case int() if what == "end" and under_way:
                replica = under_way.pop(which % len(under_way))
                replica.in_flight -= 1
                replica.heard_at = now
                replica.others = which
                replica.report_latency_s = replica.cost_s = 0.001 * (1 + which)
                if replica in here:
                    pick.heard(replica, now)
            case int() if what == "weigh":
                every[which].weight = 0.1 if every[which].weight == 1.0 else 1.0
            case set():
                here = [every[number] for number in sorted(which)]
                pick.update(here)
            case float():
                now += which
                pick.refresh(now)


# Round robin.


def test_turns_are_exact_and_do_not_all_begin_with_the_same() -> None:
    replicas = some(7)
    seen = []
    begins = set()
    for seed in range(30):
        pick = picker("round-robin", replicas, seed)
        turn = [pick.pick(1.0, None) for _ in range(21)]
        assert turn[:7] == turn[7:14] == turn[14:]
        assert len(set(turn[:7])) == 7
        begins.add(turn[0])
        seen.append(turn[0])
    assert len(begins) > 4


def test_the_turn_goes_on_when_the_fleet_changes() -> None:
    one, two, three, four = some(4)
    pick = picker("round-robin", [one, two, three, four])
    while pick.pick(1.0, None) is not two:
        pass
    pick.update([one, two, four])
    assert [pick.pick(1.0, None) for _ in range(3)] == [four, one, two]
    pick.update([one, two, three, four])
    assert [pick.pick(1.0, None) for _ in range(2)] == [four, one]


def test_lighter_ones_are_passed_over_in_proportion() -> None:
    replicas = some(3)
    replicas[1].weight = 0.25
    seen = picks(picker("round-robin", replicas), 9000)
    assert abs(seen[replicas[1]] - 1000) <= 1
    assert abs(seen[replicas[0]] - 4000) <= 1
    for replica in replicas:
        replica.weight = 0.1
    assert set(picks(picker("round-robin", replicas), 300).values()) == {100}


# By chance.


def test_chance_follows_weights() -> None:
    replicas = some(3)
    replicas[1].weight = 0.25
    seen = picks(picker("random", replicas), 9000)
    assert abs(seen[replicas[1]] - 1000) < 150
    assert abs(seen[replicas[0]] - 4000) < 250


def test_weighted_goes_by_speed() -> None:
    replicas = some(3)
    replicas[0].cost_s = 0.01
    replicas[1].cost_s = 0.03
    replicas[2].cost_s = 0.01
    replicas[2].weight = 0.5
    seen = picks(picker("weighted", replicas), 11_000)
    assert abs(seen[replicas[0]] - 6000) < 300
    assert abs(seen[replicas[1]] - 2000) < 250
    assert abs(seen[replicas[2]] - 3000) < 250


def test_weighted_halves_what_goes_to_whoever_has_just_refused() -> None:
    replicas = some(2)
    replicas[0].refusals = 1
    pick = picker("weighted", replicas)
    assert abs(picks(pick, 9000)[replicas[0]] - 3000) < 250
    replicas[0].refusals = 0
    pick.refresh(1.5)
    assert abs(picks(pick, 9000)[replicas[0]] - 4500) < 250


# Two choices.


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_replicas_are_within_ten_of_their_mean(seed: int) -> None:
    # Finagle's own test: picks that stay in flight, so that each evens the ones before out.
    replicas = some(100)
    pick = picker("two-choices", replicas, seed)
    for _ in range(100_000):
        pick.pick(1.0, None).in_flight += 1
    assert all(abs(replica.in_flight - 1000) <= 10 for replica in replicas)


def test_a_restored_replica_takes_twice_its_share_until_it_is_level() -> None:
    replicas = some(100)
    pick = picker("two-choices", replicas[1:])
    for _ in range(10_000):
        pick.pick(1.0, None).in_flight += 1
    pick.update(replicas)
    for _ in range(2000):
        pick.pick(1.0, None).in_flight += 1
    # 2 R / N: whenever it is among the two.
    assert abs(replicas[0].in_flight - 40) < 5 * 40**0.5


def test_of_three_the_busiest_is_never_picked() -> None:
    replicas = some(3)
    replicas[1].in_flight = 5
    replicas[2].in_flight = 4
    seen = picks(picker("two-choices", replicas), 3000)
    # The idle one is in two pairs of three; in the third the less busy of the others wins.
    assert seen[replicas[1]] == 0
    assert abs(seen[replicas[0]] - 2000) < 150
    assert abs(seen[replicas[2]] - 1000) < 150


@pytest.mark.parametrize(("choices", "share"), [(1, 1 / 5), (3, 3 / 5), (5, 1), (9, 1)])
def test_the_idle_one_is_picked_as_often_as_it_is_among_the_choices(
    choices: int, share: float
) -> None:
    replicas = some(5)
    for replica in replicas[1:]:
        replica.in_flight = 1
    pick = Choices(SIGNALS["in-flight"], choices, random.Random(1).random)
    pick.update(replicas)
    assert abs(picks(pick, 5000)[replicas[0]] - 5000 * share) < 200


# The least loaded of all.


def test_the_least_loaded_of_all_is_picked_and_ties_are_broken_evenly() -> None:
    replicas = some(6)
    for replica in replicas[:3]:
        replica.in_flight = 1
    seen = picks(picker("least-loaded", replicas), 3000)
    assert set(seen) == set(replicas[3:])
    assert all(abs(taken - 1000) < 150 for taken in seen.values())


# Signals.


def test_each_signal_decides() -> None:
    favourites: dict[SignalName, str] = {
        "in-flight": "in_flight",
        "reported": "others",
        "latency": "report_latency_s",
        "expected": "cost_s",
        "peak-ewma": "peak_s",
    }
    for signal, field in favourites.items():
        one, other = some(2)
        for replica in (one, other):
            replica.report_latency_s = replica.peak_s = 0.5
            replica.peak_at = 1.0
        setattr(one, field, 3)
        for policy in ("two-choices", "least-loaded"):
            assert set(picks(picker(policy, [one, other], signal=signal), 20)) == {other}
