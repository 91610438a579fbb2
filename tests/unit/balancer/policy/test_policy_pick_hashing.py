from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from math import ceil

import pytest

from balancer import Endpoint
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet, Replica
from balancer.policy.pick import Picker, make_keyed

KEYS = [f"user-{number}" for number in range(5000)]


def some(count: int) -> list[Replica]:
    return [
        Replica(Endpoint(service="users", replica=f"users-{n}", address=f"10.0.0.{n}:80"))
        for n in range(count)
    ]


def keyed(replicas: list[Replica], seed: int = 1) -> Picker:
    made = make_keyed(BalancingSettings(), random.Random(seed).random)
    made.update(replicas)
    return made


def owners(pick: Picker) -> dict[str, Replica]:
    return {key: pick.pick(1.0, key) for key in KEYS}


def test_a_key_has_one_replica_whoever_asks() -> None:
    replicas = some(10)
    first = owners(keyed(replicas))
    assert owners(keyed(replicas[::-1], seed=2)) == first
    # An eighth of its part is a standard deviation; the chance of keys adds a little.
    parts = Counter(first.values())
    assert all(abs(parts[replica] - 500) < 4 * 67 for replica in replicas)


def test_the_same_key_has_the_same_replica_in_every_process() -> None:
    code = (
        "from balancer.policy.pick.hashing import _hashes;"
        "print(_hashes('\\u00e9 \\ud800', 1), _hashes('10.0.0.1:80', 64)[63])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_who_leaves_moves_only_its_own_keys_and_gets_them_back() -> None:
    replicas = some(10)
    pick = keyed(replicas)
    before = owners(pick)
    pick.update(replicas[1:])
    between = owners(pick)
    moved = {key for key in KEYS if between[key] is not before[key]}
    assert moved == {key for key in KEYS if before[key] is replicas[0]}
    assert len({between[key] for key in moved}) > 5, "to many others"
    pick.update(replicas)
    assert owners(pick) == before


def test_who_comes_takes_its_part_from_all() -> None:
    replicas = some(11)
    pick = keyed(replicas[:10])
    before = owners(pick)
    pick.update(replicas)
    after = owners(pick)
    moved = [key for key in KEYS if after[key] is not before[key]]
    assert {after[key] for key in moved} == {replicas[10]}
    assert 0.5 < len(moved) / (len(KEYS) / 11) < 1.5


def test_a_restarted_process_at_its_address_has_its_keys() -> None:
    replicas = some(5)
    pick = keyed(replicas)
    before = owners(pick)
    new = Replica(replicas[0].endpoint)
    pick.update([new, *replicas[1:]])
    after = owners(pick)
    assert all(after[key] is (new if before[key] is replicas[0] else before[key]) for key in KEYS)


def test_those_that_left_for_good_are_forgotten() -> None:
    replicas = some(40)
    pick = keyed(replicas[:4])
    expected = {}
    for number in range(0, 40, 4):
        pick.update(replicas[number : number + 4])
        expected = owners(pick)
    assert owners(keyed(replicas[36:])) == expected


def test_half_the_weight_has_half_the_keys_and_more_weight_moves_none_away() -> None:
    replicas = some(10)
    pick = keyed(replicas)
    full = owners(pick)
    own = {key for key in KEYS if full[key] is replicas[3]}
    kept: set[str] = set()
    for weight in (0.1, 0.5, 0.9, 1.0):
        replicas[3].weight = weight
        now = owners(pick)
        mine = {key for key in KEYS if now[key] is replicas[3]}
        assert kept <= mine <= own
        assert abs(len(mine) / len(own) - weight) < 0.2
        kept = mine
        assert all(now[key] is full[key] for key in set(KEYS) - own)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_one_popular_key_fills_nobody(count: int) -> None:
    replicas = some(count)
    pick = keyed(replicas)
    for number in range(1, 401):
        pick.pick(1.0, "popular").in_flight += 1
        pick.refresh(1.0)
        assert max(replica.in_flight for replica in replicas) <= ceil(1.25 * number / count)


def test_the_bound_holds_nearly_though_the_mean_is_worked_out_now_and_then() -> None:
    replicas = some(200)
    pick = keyed(replicas)
    for _ in range(4000):
        pick.pick(1.0, "popular").in_flight += 1
    assert max(replica.in_flight for replica in replicas) <= 25


def test_load_that_others_bring_counts_while_it_is_news() -> None:
    replicas = some(10)
    pick = keyed(replicas)
    home = pick.pick(1.0, "a")
    for replica in replicas:
        replica.heard_at = 1.0
    home.others = 30
    pick.refresh(1.5)
    second = pick.pick(1.5, "a")
    assert second is not home
    assert tuple(pick.compared) == (home, second)
    pick.refresh(3.0)
    assert pick.pick(3.0, "a") is home


def test_who_was_not_heard_of_is_taken_to_have_what_the_others_have() -> None:
    replicas = some(10)
    pick = keyed(replicas)
    home = pick.pick(1.0, "a")
    for replica in replicas[:5]:
        replica.heard_at = 1.0
        replica.others = 30
    home.others = 30
    home.heard_at = 1.0
    pick.refresh(1.5)
    assert pick.pick(1.5, "a") is home
    home.heard_at = 0.0
    pick.refresh(1.5)
    assert pick.pick(1.5, "a") is home


def test_a_light_replica_is_full_earlier() -> None:
    replicas = some(10)
    home = keyed(replicas).pick(1.0, "a")
    home.weight = 0.5
    pick = keyed(replicas)
    key = next(key for key in KEYS if pick.pick(1.0, key) is home)
    for replica in replicas:
        replica.in_flight = 8
    home.in_flight = 4
    pick.refresh(1.0)
    assert pick.pick(1.0, key) is home
    home.in_flight = 6
    pick.refresh(1.0)
    assert pick.pick(1.0, key) is not home


def test_calls_without_a_key_go_to_the_less_loaded_of_two() -> None:
    one, other = some(2)
    one.in_flight = 1
    pick = keyed([one, other])
    assert {pick.pick(1.0, None) for _ in range(50)} == {other}


# In a fleet.


def fleet(balancing: BalancingSettings, endpoints: list[Endpoint]) -> Fleet:
    rng = random.Random(1)
    made = Fleet(balancing, Ejector(EjectionSettings(), rng.random), rng.random)
    made.update(endpoints, 1.0)
    return made


def test_a_key_is_honoured_under_every_policy() -> None:
    endpoints = [replica.endpoint for replica in some(8)]
    asked = fleet(BalancingSettings(policy="round-robin"), endpoints)
    assert fleet(BalancingSettings(), []).pick(1.0, key="a") is None
    homes = {asked.pick(2.0, key="a") for _ in range(20)}
    assert len(homes) == 1
    (home,) = homes
    assert home is not None
    assert home in asked.compared()
    assert len({asked.pick(2.0) for _ in range(8)}) == 8
    asked.update([one for one in endpoints if one.address != home.endpoint.address], 3.0)
    assert asked.pick(4.0, key="a") is not home
    asked.update(endpoints, 5.0)
    again = asked.pick(30.0, key="a")
    assert again is not None
    assert again.endpoint == home.endpoint


def test_a_key_stays_with_its_version() -> None:
    endpoints = [
        Endpoint(service="u", replica=f"u{n}", address=f"10.0.0.{n}:80", version=str(1 + n // 8))
        for n in range(10)
    ]
    asked = fleet(BalancingSettings(versions={"2": 0.25}), endpoints)
    drawn: list[str] = []
    for key in KEYS:
        versions = {
            replica.endpoint.version for _ in range(3) if (replica := asked.pick(1.0, key=key))
        }
        assert len(versions) == 1
        drawn += versions
    assert abs(drawn.count("2") / len(KEYS) - 0.25) < 0.03


def test_a_key_stays_with_its_version_whoever_falls_ill() -> None:
    endpoints = [
        Endpoint(service="u", replica=f"u{n}", address=f"10.0.0.{n}:80", version=str(n % 3))
        for n in range(9)
    ]
    asked = fleet(BalancingSettings(versions={"2": 0.3, "1": 0.3}), endpoints)

    def versions() -> list[str]:
        found = [asked.pick(1.0, key=key) for key in KEYS[:500]]
        return [replica.endpoint.version for replica in found if replica is not None]

    before = versions()
    assert set(before) == {"0", "1", "2"}
    for ill in list(asked.available)[:2]:
        for _ in range(5):
            ill.attempts += 1
            asked.failed(ill, 1.0, ill.attempts)
    assert len(asked.available) == 7
    assert versions() == before


def test_a_hot_key_is_spread_while_all_refuse_too() -> None:
    replicas = some(10)
    for replica in replicas:
        replica.refusals = 2.0
    pick = keyed(replicas)
    for _ in range(30):
        pick.pick(1.0, "hot").in_flight += 1
    # Of 20 refusals and 30 attempts each has 5; the bound is a quarter more, rounded up.
    assert max(replica.in_flight for replica in replicas) <= 5
