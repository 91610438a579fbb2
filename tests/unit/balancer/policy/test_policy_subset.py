from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer import Endpoint
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet
from balancer.policy.split import group_name
from balancer.policy.subset import Subset, SubsetSettings


def some(count: int, zones: str = " ", versions: str = "1") -> list[Endpoint]:
    return [
        Endpoint(
            service="u",
            replica=f"u-{n}",
            address=f"10.0.{n >> 8}.{n & 255}:80",
            zone=zones[n % len(zones)].strip(),
            version=versions[n * 7 % len(versions)],
        )
        for n in range(count)
    ]


def chosen(
    endpoints: list[Endpoint],
    *,
    size: int = 100,
    peers: int = 0,
    peer: int = 0,
    seed: int = 1,
    balancing: BalancingSettings | None = None,
) -> dict[str, float]:
    split = balancing or BalancingSettings()
    subset = Subset(
        SubsetSettings(size=size, peers=peers, peer=peer),
        lambda endpoint: group_name(endpoint, split),
        random.Random(seed).random,
    )
    found = subset.choose(endpoints)
    assert len({endpoint.replica for endpoint, _ in found}) == len(found)
    assert all(0 < part <= 1 for _, part in found)
    return {endpoint.replica: part for endpoint, part in found}


def load(subsets: list[dict[str, float]]) -> Counter[str]:
    """What each replica gets when each caller makes one call, by the parts."""
    total: Counter[str] = Counter()
    for parts in subsets:
        whole = sum(parts.values())
        for replica, part in parts.items():
            total[replica] += part / whole  # type: ignore[assignment]
    return total


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_a_small_fleet_is_used_whole(count: int) -> None:
    assert chosen(some(count), peers=7, peer=3) == {f"u-{n}": 1.0 for n in range(count)}


def test_nought_uses_any_fleet_whole() -> None:
    assert len(chosen(some(1000), size=0)) == 1000


def test_a_thousand_callers_of_a_thousand_replicas_load_them_alike() -> None:
    endpoints = some(1000)
    subsets = [chosen(endpoints, peers=1000, peer=peer) for peer in range(1000)]
    assert all(len(parts) in {100, 101} for parts in subsets)
    callers = Counter(replica for parts in subsets for replica in parts)
    assert len(callers) == 1000
    assert max(callers.values()) - min(callers.values()) <= 1
    assert all(abs(got - 1) < 0.001 for got in load(subsets).values())


@pytest.mark.parametrize(
    ("callers", "replicas", "size"),
    [(1000, 997, 100), (7, 1000, 100), (150, 1003, 30), (1, 500, 100), (40, 101, 100)],
)
def test_numbers_that_do_not_divide_are_evened_out_by_parts(
    callers: int, replicas: int, size: int
) -> None:
    endpoints = some(replicas)
    subsets = [chosen(endpoints, size=size, peers=callers, peer=peer) for peer in range(callers)]
    got = load(subsets)
    assert len(got) == replicas
    even = callers / replicas
    assert all(abs(one / even - 1) < 0.03 for one in got.values())


def test_heavier_replicas_get_more() -> None:
    endpoints = some(1000)
    endpoints = [
        Endpoint(service="u", replica=one.replica, address=one.address, weight=1.0 + number % 3)
        for number, one in enumerate(endpoints)
    ]
    weights = {one.replica: one.weight for one in endpoints}
    total: Counter[str] = Counter()
    for peer in range(1000):
        parts = chosen(endpoints, peers=1000, peer=peer)
        whole = sum(part * weights[replica] for replica, part in parts.items())
        for replica, part in parts.items():
            total[replica] += part * weights[replica] / whole  # type: ignore[assignment]
    unit = 1000 / sum(weights.values())
    assert all(abs(total[replica] / (unit * weights[replica]) - 1) < 0.03 for replica in weights)


def test_without_a_known_place_the_spread_is_that_of_chance() -> None:
    endpoints = some(1000)
    subsets = [chosen(endpoints, seed=seed) for seed in range(1000)]
    callers = Counter(replica for parts in subsets for replica in parts)
    assert len(callers) == 1000
    # Binomial: 101 on the average, a standard deviation of 9.5.
    spread = (sum((number - 101) ** 2 for number in callers.values()) / 1000) ** 0.5
    assert spread < 15
    assert min(callers.values()) > 60
    assert max(callers.values()) < 150


def test_each_zone_and_version_is_shared_alike() -> None:
    balancing = BalancingSettings(zone="a", versions={"2": 0.05})
    endpoints = some(1000, zones="abbc", versions="111111112")
    groups = {one.replica: group_name(one, balancing) for one in endpoints}
    sizes = Counter(groups.values())
    assert set(sizes) == {"/a", "/", "2/a", "2/"}
    got: dict[str, Counter[str]] = {group: Counter() for group in sizes}
    for peer in range(1000):
        parts = chosen(endpoints, peers=1000, peer=peer, balancing=balancing)
        assert len(parts) <= 100 + 2 * len(sizes)
        for group, load_of in got.items():
            of_group = {r: part for r, part in parts.items() if groups[r] == group}
            assert of_group, "every caller has some of each"
            for replica, part in of_group.items():
                load_of[replica] += part / sum(of_group.values())  # type: ignore[assignment]
    for group, load_of in got.items():
        even = 1000 / sizes[group]
        assert all(abs(one / even - 1) < 0.03 for one in load_of.values())


@pytest.mark.parametrize("peers", [0, 1000])
def test_one_replica_more_or_less_changes_few_members(peers: int) -> None:
    endpoints = some(1000)
    changes = []
    for peer in range(0, 1000, 10):
        place = {"peers": peers, "peer": peer if peers else 0, "seed": peer}
        before = chosen(endpoints, **place).keys()  # type: ignore[arg-type]
        for after in (endpoints[1:], [*endpoints, *some(1001)[1000:]]):
            changes.append(len(before ^ chosen(after, **place).keys()))  # type: ignore[arg-type]
    assert max(changes) <= 6
    assert sum(changes) / len(changes) < 3


def test_all_agree_whatever_the_order_and_the_address_of_a_name_may_change() -> None:
    endpoints = some(500)
    first = chosen(endpoints, peers=10, peer=3)
    assert chosen(endpoints[::-1], peers=10, peer=3) == first
    moved = [
        Endpoint(service="u", replica=one.replica, address=f"[::1]:{number + 1}")
        for number, one in enumerate(endpoints)
    ]
    assert chosen(moved, peers=10, peer=3) == first


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(1, 60),
    size=st.integers(0, 60),
    peers=st.integers(1, 30),
    zones=st.sampled_from([" ", "ab", "abb "]),
)
def test_every_replica_is_used_by_somebody_and_all_alike(
    count: int, size: int, peers: int, zones: str
) -> None:
    endpoints = some(count, zones)
    subsets = [chosen(endpoints, size=size, peers=peers, peer=peer) for peer in range(peers)]
    got = load(subsets)
    if size and peers * size >= count:
        even = peers / count
        assert len(got) == count
        assert all(abs(one / even - 1) < 0.001 for one in got.values())


def test_a_fleet_keeps_its_place_and_its_records() -> None:
    rng = random.Random(5)
    fleet = Fleet(
        BalancingSettings(subset=SubsetSettings(size=20)),
        Ejector(EjectionSettings(), rng.random),
        rng.random,
    )
    endpoints = some(300)
    fleet.update(endpoints, 1.0)
    before = dict(fleet.replicas)
    assert 20 <= len(before) <= 21
    gone = fleet.update(endpoints[1:], 2.0)
    assert len(gone) <= 2
    assert all(
        fleet.replicas[address] is before[address]
        for address in before.keys() & fleet.replicas.keys()
    )
    assert {fleet.pick(3.0) for _ in range(500)} <= set(fleet.replicas.values())


@pytest.mark.parametrize("bad", [{"size": -1}, {"peers": -1}, {"peers": 3, "peer": 3}, {"peer": 1}])
def test_bad_settings_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"size|peer"):
        SubsetSettings(**bad)
