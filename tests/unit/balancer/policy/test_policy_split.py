from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer import ConfigError, Endpoint
from balancer.config import ConfigFile, Settings
from balancer.dispatch import DispatchSettings
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet, Replica
from balancer.policy.split import split


def some(*kinds: tuple[str, str, int]) -> list[Replica]:
    """Replicas of (version, zone, how many)."""
    return [
        Replica(
            Endpoint(
                service="u",
                replica=f"u-{version}-{zone}-{n}",
                address=f"u-{version}-{zone}-{n}:80",
                version=version,
                zone=zone,
            )
        )
        for version, zone, count in kinds
        for n in range(count)
    ]


def shares(
    available: list[Replica], known: list[Replica], balancing: BalancingSettings
) -> dict[str, float]:
    return {group.name: round(group.share, 6) for group in split(available, known, balancing)}


def test_nothing_to_split_by_makes_one_group() -> None:
    replicas = some(("1", "a", 2), ("2", "b", 1))
    assert shares(replicas, replicas, BalancingSettings()) == {"": 1.0}


# Versions.


@pytest.mark.parametrize("canaries", [1, 5, 50])
def test_a_version_gets_its_share_whatever_its_number(canaries: int) -> None:
    replicas = some(("1", "", 10), ("2", "", canaries), ("", "", 3))
    balancing = BalancingSettings(versions={"2": 0.05})
    groups = {group.name: group for group in split(replicas, replicas, balancing)}
    assert groups["2"].share == 0.05
    assert len(groups["2"].replicas) == canaries
    assert groups[""].share == 0.95
    assert len(groups[""].replicas) == 13


def test_the_share_of_a_version_that_is_not_there_goes_to_the_others() -> None:
    balancing = BalancingSettings(versions={"2": 0.05, "3": 0.15})
    old, two, three = some(("1", "", 4)), some(("2", "", 1)), some(("3", "", 1))
    known = old + two + three
    assert shares(known, known, balancing) == {"": 0.8, "2": 0.05, "3": 0.15}
    assert shares(old + three, known, balancing) == {"": 0.85, "3": 0.15}
    assert shares(two + three, known, balancing) == {"2": 0.25, "3": 0.75}
    assert shares(two, known, balancing) == {"2": 1.0}
    assert shares(old, known, balancing) == {"": 1.0}


def test_a_version_may_get_nothing_or_all_until_nobody_else_is_left() -> None:
    old, new = some(("1", "", 4)), some(("2", "", 2))
    nothing = BalancingSettings(versions={"2": 0.0})
    everything = BalancingSettings(versions={"2": 1.0})
    assert shares(old + new, old + new, nothing) == {"": 1.0}
    assert shares(new, old + new, nothing) == {"2": 1.0}
    assert shares(old + new, old + new, everything) == {"2": 1.0}
    assert shares(old, old + new, everything) == {"": 1.0}


# Zones.


@pytest.mark.parametrize(
    ("well", "stays"), [(10, 1.0), (8, 1.0), (7, 0.98), (5, 0.7), (1, 0.14), (0, 0.0)]
)
def test_calls_stay_in_the_zone_while_seven_tenths_of_it_are_well(well: int, stays: float) -> None:
    known = some(("1", "a", 10), ("1", "b", 10), ("1", "c", 10))
    available = known[10 - well :]
    found = shares(available, known, BalancingSettings(zone="a"))
    assert found.get("/a", 0) == pytest.approx(stays)
    assert found.get("/", 0) == pytest.approx(1 - stays)


def test_a_zone_with_few_replicas_is_not_sent_all_of_its_calls() -> None:
    known = some(("1", "a", 1), ("1", "b", 49), ("1", "c", 49), ("1", "", 1))
    # Four zones with 25 each would be even: 1.4 of 25.
    assert shares(known, known, BalancingSettings(zone="a")) == {"/a": 0.056, "/": 0.944}


def test_a_zone_without_replicas_and_a_fleet_of_one_zone() -> None:
    known = some(("1", "a", 2))
    assert shares(known, known, BalancingSettings(zone="a")) == {"/a": 1.0}
    assert shares(known, known, BalancingSettings(zone="z")) == {"/": 1.0}
    assert shares(known[:1], known, BalancingSettings(zone="a")) == {"/a": 1.0}


def test_a_version_is_split_by_zones_too() -> None:
    known = some(("1", "a", 10), ("1", "b", 10), ("2", "a", 1), ("2", "b", 3))
    balancing = BalancingSettings(zone="a", versions={"2": 0.1})
    assert shares(known, known, balancing) == {"/a": 0.9, "2/a": 0.07, "2/": 0.03}


@given(
    known=st.lists(
        st.tuples(st.sampled_from("123"), st.sampled_from(["", "a", "b"]), st.booleans()),
        min_size=1,
        max_size=12,
    ),
    zone=st.sampled_from(["", "a", "z"]),
    versions=st.sampled_from([{}, {"2": 0.05}, {"2": 0.0}, {"1": 0.5, "2": 0.5}, {"9": 1.0}]),
)
def test_shares_make_one_and_every_group_has_somebody(
    known: list[tuple[str, str, bool]], zone: str, versions: dict[str, float]
) -> None:
    replicas = [some((version, place, 1))[0] for version, place, _ in known]
    available = [one for one, (_, _, well) in zip(replicas, known, strict=True) if well]
    if not available:
        available = replicas
    groups = split(available, replicas, BalancingSettings(zone=zone, versions=versions))
    assert sum(group.share for group in groups) == pytest.approx(1)
    assert all(group.replicas and group.share > 0 for group in groups)
    assert len({group.name for group in groups}) == len(groups)
    members = [replica for group in groups for replica in group.replicas]
    assert len(members) == len(set(members))
    assert set(members) <= set(available)


# In a fleet.


def fleet(balancing: BalancingSettings, replicas: list[Replica]) -> Fleet:
    rng = random.Random(3)
    made = Fleet(balancing, Ejector(EjectionSettings(), rng.random), rng.random)
    made.update([replica.endpoint for replica in replicas], 1.0)
    return made


def test_a_canary_gets_its_share_of_the_picks_though_it_is_idle() -> None:
    replicas = some(("1", "", 10), ("2", "", 1))
    asked = fleet(BalancingSettings(policy="least-loaded", versions={"2": 0.05}), replicas)
    seen: Counter[str] = Counter()
    for _ in range(10_000):
        replica = asked.pick(1.0)
        assert replica is not None
        replica.in_flight += replica.endpoint.version == "1"
        seen[replica.endpoint.version] += 1
    # 5 standard deviations.
    assert abs(seen["2"] - 500) < 110


def test_another_attempt_may_leave_the_zone() -> None:
    replicas = some(("1", "a", 1), ("1", "b", 1))
    asked = fleet(BalancingSettings(zone="a"), replicas)
    first = asked.pick(1.0)
    assert first is not None
    assert first.endpoint.zone == "a"
    other = asked.pick(1.0, (first,))
    assert other is not None
    assert other.endpoint.zone == "b"


# The settings.


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("versions = { '2' = 1.5 }", "shares from 0 to 1"),
        ("versions = { '2' = 0.7, '3' = 0.4 }", "1 together"),
        ("versions = { '' = 0.1 }", "must have names"),
        ("versions = { '2' = 'much' }", "float"),
        ("subset.peers = -1", "not be below 0"),
        ("subset.peer = 2", "below peers"),
        ("subset.sise = 2", "did you mean 'size'"),
    ],
)
def test_bad_settings_are_told_with_their_line(text: str, what: str) -> None:
    file = ConfigFile(f"[client.dispatch]\nattempts = 3\n\n[client.dispatch.balancing]\n{text}\n")
    with pytest.raises(ConfigError, match=f"line 5: .*{what}"):
        file.section("client", _Client)


def test_good_settings_are_read() -> None:
    text = '[client.dispatch.balancing]\nzone = "a"\nversions = { "2" = 0.05 }\nsubset.size = 30\n'
    balancing = ConfigFile(text).section("client", _Client).dispatch.balancing
    assert balancing.zone == "a"
    assert balancing.versions == {"2": 0.05}
    assert balancing.subset.size == 30


class _Client(Settings, frozen=True, kw_only=True):
    dispatch: DispatchSettings
