from __future__ import annotations

import random

from balancer import Endpoint
from balancer.policy import BalancingSettings, Replica
from balancer.policy.pick import Picker, make_picker


def some(count: int) -> list[Replica]:
    return [
        Replica(Endpoint(service="users", replica=f"users-{n}", address=f"10.0.0.{n}:80"))
        for n in range(count)
    ]


def picker(replicas: list[Replica]) -> Picker:
    made = make_picker(BalancingSettings(policy="hot-cold"), random.Random(1).random)
    made.update(replicas)
    return made


def hear(pick: Picker, replica: Replica, in_flight: int, latency_s: float, now: float) -> None:
    replica.others = in_flight
    replica.report_latency_s = latency_s
    replica.heard_at = now
    pick.heard(replica, now)


def test_the_fastest_cold_one_is_picked_though_it_has_more_to_do() -> None:
    replicas = some(10)
    pick = picker(replicas)
    for number, replica in enumerate(replicas):
        hear(pick, replica, number, 1.0 - number / 10, 1.0)
    # The last has .84 of the reports below it; the others are cold, and the busiest is fastest.
    assert pick.pick(1.1, None) is replicas[8]
    assert set(pick.compared) == set(replicas)


def test_when_all_are_hot_the_one_with_the_fewest_in_flight_is_picked() -> None:
    replicas = some(5)
    pick = picker(replicas)
    for replica in replicas:
        hear(pick, replica, 2, 0.1, 1.0)
    for number, replica in enumerate(replicas):
        replica.in_flight = 5 - number
        replica.report_latency_s = 0.1 * (1 + number)
    assert pick.pick(1.1, None) is replicas[4]


def test_a_report_is_used_once_and_believed_for_a_second() -> None:
    replicas = some(50)
    pick = picker(replicas)
    for replica in replicas[:8]:
        hear(pick, replica, 0, 0.1, 1.0)
    picked = {pick.pick(1.5, None) for _ in range(4)}
    assert picked < set(replicas[:8])
    assert len(picked) == 4
    hear(pick, replicas[9], 0, 0.01, 1.9)
    hear(pick, replicas[10], 0, 0.02, 1.9)
    assert pick.pick(2.2, None) is replicas[9]
    assert set(pick.compared) == {replicas[9], replicas[10]}


def test_sixteen_are_kept_and_the_newest_word_of_each() -> None:
    replicas = some(50)
    pick = picker(replicas)
    for replica in replicas[:30]:
        hear(pick, replica, 0, 0.1, 1.0)
    hear(pick, replicas[29], 0, 0.1, 1.1)
    pick.pick(1.2, None)
    assert set(pick.compared) == set(replicas[14:30])
    assert len(pick.compared) == 16


def test_the_oldest_and_the_worst_leave_in_turn_without_being_used() -> None:
    replicas = some(16)
    pick = picker(replicas)
    for number, replica in enumerate(replicas):
        hear(pick, replica, 0, 0.2 - number / 100, 1.0)
    picked = [pick.pick(1.1, None) for _ in range(5)]
    assert picked == replicas[15:10:-1]
    pick.pick(1.1, None)
    # The first left as the oldest, the second as the slowest.
    assert set(pick.compared) == set(replicas[2:11])


def test_who_is_ejected_leaves_the_pool() -> None:
    replicas = some(4)
    pick = picker(replicas)
    for replica in replicas:
        hear(pick, replica, 0, 0.1, 1.0)
    pick.update(replicas[1:])
    assert {pick.pick(1.1, None) for _ in range(50)} == set(replicas[1:])


def test_without_reports_two_are_compared() -> None:
    one, other = some(2)
    one.in_flight = 3
    pick = picker([one, other])
    assert {pick.pick(1.0, None) for _ in range(30)} == {other}
    assert set(pick.compared) == {one, other}
