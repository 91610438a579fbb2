from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.names.dns import (
    Record_A,
    Record_AAAA,
    Record_CNAME,
    Record_SOA,
    Record_SRV,
    Record_TXT,
    RRHeader,
)

from balancer.discovery.dns.records import (
    Addresses,
    Target,
    read_absence,
    read_addresses,
    read_targets,
    to_endpoints,
)


def header(payload: Any, name: str = "x.test", ttl: int = 30) -> RRHeader:
    return RRHeader(name, payload.TYPE, ttl=ttl, payload=payload)


def test_targets_are_read_and_anything_else_is_left() -> None:
    answers = [
        header(Record_CNAME("y.test"), ttl=7),
        header(Record_SRV(1, 5, 8001, "Host-1.Mesh.Test.")),
        header(Record_TXT(b"x"), ttl=1),
        header(Record_SRV(0, 0, 8002, "host-2.mesh.test"), ttl=20),
    ]
    assert read_targets(answers) == (
        [Target("host-1.mesh.test", 8001, 1, 5), Target("host-2.mesh.test", 8002, 0, 0)],
        7,
    )
    assert read_targets([]) == ([], 0)


def test_a_target_that_says_there_is_none_is_none() -> None:
    assert read_targets([header(Record_SRV(0, 0, 0, b"."))]) == ([], 30)
    assert read_targets([header(Record_SRV(0, 0, 80, b""))]) == ([], 30)


def test_ipv6_addresses_are_taken_where_there_are_no_others() -> None:
    four, six = header(Record_A("10.0.0.1"), ttl=9), header(Record_AAAA("fd00::1"), ttl=8)
    other = header(Record_A("10.0.0.2"), "other.test", ttl=1)
    assert read_addresses([six, four, other], "x.test") == Addresses(("10.0.0.1",), 8)
    assert read_addresses([six, other], "x.test") == Addresses(("fd00::1",), 8)
    assert read_addresses([other], "x.test") is None
    assert read_addresses([header(Record_CNAME("other.test"), ttl=3), other]) == Addresses(
        ("10.0.0.2",), 1
    )


def test_how_long_a_name_is_absent_is_the_lesser_of_two() -> None:
    assert read_absence([header(Record_SOA(minimum=5), ttl=30)]) == 5
    assert read_absence([header(Record_SOA(minimum=300), ttl=30)]) == 30
    assert read_absence([header(Record_TXT(b"x"))]) == 0


def test_the_lowest_priority_takes_the_calls_and_others_stand_by() -> None:
    targets = [Target("a", 1, 10, 1), Target("b", 1, 20, 1), Target("gone", 1, 0, 1)]
    found = to_endpoints("users", targets, {"a": ["10.0.0.1"], "b": ["10.0.0.2"]})
    assert [(each.replica, each.standby) for each in found] == [("a:1", False), ("b:1", True)]


def test_weights_keep_their_proportions() -> None:
    weights = [0, 1, 100, 65_535]
    targets = [Target("a", port, 0, weight) for port, weight in enumerate(weights, 1)]
    found = to_endpoints("users", targets, {"a": ["10.0.0.1"]})
    assert [each.weight for each in found] == [0.001, 0.01, 1.0, 655.35]


def test_of_two_records_for_one_port_the_first_to_be_called_counts() -> None:
    targets = [
        Target("a", port, priority, weight)
        for port in range(1, 10)
        for priority, weight in ((0, 10), (0, 20), (5, 90))
    ]
    found = to_endpoints("users", targets, {"a": ["10.0.0.1"]})
    assert [(each.weight, each.standby) for each in found] == [(0.2, False)] * 9


def test_each_address_of_a_target_is_a_replica() -> None:
    found = to_endpoints(
        "users",
        [Target("a", 80, 0, 100), Target("b", 80, 0, 100)],
        {"a": ["10.0.0.1", "10.0.0.2"], "b": ["fd00::1"]},
    )
    assert [(each.replica, each.address) for each in found] == [
        ("a:80@10.0.0.1", "10.0.0.1:80"),
        ("a:80@10.0.0.2", "10.0.0.2:80"),
        ("b:80", "[fd00::1]:80"),
    ]


TARGETS = st.lists(
    st.builds(
        Target,
        host=st.sampled_from(["a", "b", "c", "d"]),
        port=st.sampled_from([1, 80, 65_535]),
        priority=st.integers(0, 65_535),
        weight=st.integers(0, 65_535),
    ),
    max_size=12,
)
WHERE = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"]), unique=True, max_size=3),
)


@given(TARGETS, WHERE, st.randoms())
def test_the_order_of_records_does_not_matter(
    targets: list[Target], addresses: dict[str, list[str]], random: Random
) -> None:
    found = to_endpoints("users", targets, addresses)
    names = [each.replica for each in found]
    assert len(names) == len(set(names))
    assert not found or any(not each.standby for each in found), "somebody takes the calls"
    again = list(targets)
    random.shuffle(again)
    assert to_endpoints("users", again + targets, addresses) == found
