from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer import Endpoint
from balancer.discovery.kubernetes.objects import EndpointSlice, Event
from balancer.discovery.kubernetes.slices import SliceView
from tests.kubernetes_api import recorded

OLD, NEW, NEXT = "users-5d8c7b9f6d-4xk2p", "users-5d8c7b9f6d-q9vtz", "users-7f6b5c4d9-m2hnw"


def apply(view: SliceView, event: dict[str, Any]) -> None:
    """As the watch does, from the bytes on."""
    read = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    found = msgspec.json.decode(read.object, type=EndpointSlice)
    if read.type == "DELETED":
        view.remove(found)
    elif read.type != "BOOKMARK":
        view.put(found)


def brief(view: SliceView, service: str) -> list[tuple[str, str, bool]]:
    return [(each.replica, each.address, each.standby) for each in view.endpoints(service)]


def test_a_rollout_as_it_was_recorded() -> None:
    view = SliceView("http", "admin")
    seen = []
    for event in recorded():
        apply(view, event)
        seen.append(brief(view, "users"))
    old, new, following = (
        (OLD, "10.244.1.17:8001", False),
        (NEW, "10.244.2.23:8001", False),
        (NEXT, "10.244.3.8:8001", False),
    )
    assert seen[0] == [old, (*new[:2], True)], "one that is not ready is on standby"
    assert seen[3] == [old, new]
    assert seen[5] == [old, new], "the same pod in a slice of another address family"
    assert seen[6] == [old, new, (*following[:2], True)]
    assert seen[7] == [old, new, following]
    assert seen[9] == [new, following], "one that leaves is left out while it still serves"
    assert seen[-1] == [new, following]
    assert view.endpoints("greetings") == [], "its slice was deleted"
    assert view.endpoints("products") == [
        Endpoint(
            service="products",
            replica="products-66bd9c8f7-8kq5r",
            address="10.244.1.31:8002",
            admin="10.244.1.31:9002",
            zone="eu-1a",
        )
    ]
    assert view.services() == {"users", "products"}


def one(name: str = "users-a", **changes: Any) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": "users", **changes.pop("labels", {})}
    found = {
        "metadata": {"name": name, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "pod-1"}}],
        "ports": [{"name": "http", "port": 80}],
    }
    return msgspec.convert({**found, **changes}, EndpointSlice)


def pod(address: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "conditions": conditions, "targetRef": {"name": "pod-1"}}


def test_the_port_is_found_by_its_name() -> None:
    for ports, address, admin in (
        ([{"name": "admin", "port": 9}, {"name": "http", "port": 8}], "10.0.0.1:8", "10.0.0.1:9"),
        ([{"port": 8}], "10.0.0.1:8", ""),
        ([{"name": "", "port": 8}], "10.0.0.1:8", ""),
        ([{"name": "grpc", "port": 8}], None, ""),
        ([{"name": "http", "port": None}], None, ""),
        ([{"port": 8}, {"name": "x", "port": 9}], None, ""),
        ([], None, ""),
        (None, None, ""),
    ):
        view, found = SliceView("http", "admin"), one(ports=ports)
        view.put(found)
        told = [(each.address, each.admin) for each in view.endpoints("users")]
        assert told == ([(address, admin)] if address else [])
        assert view.portless(found) is (address is None)


def test_conditions_that_are_not_known_count_as_the_cluster_says() -> None:
    view = SliceView("http", "admin")
    for conditions, standby in (
        ({}, [False]),
        ({"ready": True}, [False]),
        ({"ready": None, "serving": None, "terminating": None}, [False]),
        ({"ready": False, "serving": False}, [True]),
        ({"ready": True, "terminating": True}, []),
        ({"ready": False, "serving": True, "terminating": True}, []),
    ):
        view.put(one(endpoints=[{"addresses": ["10.0.0.1"], "conditions": conditions}]))
        assert [each.standby for each in view.endpoints("users")] == standby, conditions


def test_a_slice_may_say_another_service_and_a_version() -> None:
    view = SliceView("http", "admin")
    view.put(one("a", labels={"txmesh/version": "1"}))
    view.put(
        one(
            "b",
            labels={
                "kubernetes.io/service-name": "users-next",
                "txmesh/service": "users",
                "txmesh/version": "2",
            },
            endpoints=[{"addresses": ["10.0.0.2"]}],
        )
    )
    found = [(each.replica, each.version) for each in view.endpoints("users")]
    assert found == [("10.0.0.2", "2"), ("pod-1", "1")]
    assert view.endpoints("users-next") == []


def test_ipv6_addresses_stand_in_brackets() -> None:
    view = SliceView("http", "admin")
    view.put(one(addressType="IPv6", endpoints=[{"addresses": ["fd00::1"]}]))
    assert [each.address for each in view.endpoints("users")] == ["[fd00::1]:80"]


@pytest.mark.parametrize(
    ("one_slice", "other", "told"),
    [
        (
            {"endpoints": [pod("10.0.0.1", ready=False)]},
            {"endpoints": [pod("10.0.0.1", ready=True)]},
            ("10.0.0.1:80", "", False),
        ),
        (
            {"endpoints": [pod("10.0.0.1")]},
            {"endpoints": [pod("fd00::1")], "addressType": "IPv6"},
            ("10.0.0.1:80", "", False),
        ),
        (
            {"endpoints": [pod("10.0.0.1")]},
            {"endpoints": [pod("10.0.0.1")], "labels": {"txmesh/version": "2"}},
            ("10.0.0.1:80", "2", False),
        ),
        (
            {"endpoints": [pod("10.0.0.1", terminating=True)]},
            {"endpoints": [pod("10.0.0.1", ready=True)]},
            ("10.0.0.1:80", "", False),
        ),
        (
            {"endpoints": [pod("10.0.0.1")]},
            {"endpoints": [pod("10.0.0.2")]},
            ("10.0.0.1:80", "", False),
        ),
    ],
)
def test_an_endpoint_that_stands_in_two_slices_is_told_once(
    one_slice: dict[str, Any], other: dict[str, Any], told: tuple[str, str, bool]
) -> None:
    for first, second in ((one_slice, other), (other, one_slice)):
        view = SliceView("http", "admin")
        view.put(one("a", **first))
        view.put(one("b", **second))
        found = [(each.address, each.version, each.standby) for each in view.endpoints("users")]
        assert found == [told]


ENDPOINTS = st.lists(
    st.fixed_dictionaries(
        {
            "addresses": st.sampled_from([["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"]]),
            "conditions": st.fixed_dictionaries(
                {}, optional={"ready": st.booleans(), "terminating": st.booleans()}
            ),
            "targetRef": st.sampled_from([None, {"name": "pod-1"}, {"name": "pod-2"}]),
        }
    ),
    max_size=3,
)
STATES = st.builds(
    lambda name, endpoints, labels, kind: one(
        name, endpoints=endpoints, labels=labels, addressType=kind
    ),
    st.sampled_from(["a", "b", "c"]),
    ENDPOINTS,
    st.sampled_from([{}, {"txmesh/version": "2"}, {"kubernetes.io/service-name": "products"}]),
    st.sampled_from(["IPv4", "IPv6"]),
)
HISTORY = st.lists(st.one_of(STATES, st.sampled_from(["a", "b", "c"])), max_size=12)


@given(HISTORY, st.data())
def test_what_is_told_depends_on_the_slices_and_not_on_the_way(
    history: list[EndpointSlice | str], data: st.DataObject
) -> None:
    there: dict[str, EndpointSlice] = {}
    view = SliceView("http", "admin")
    told: dict[str, list[Endpoint]] = {"users": [], "products": []}
    done = 0
    while done < len(history) or view.services() != {
        label
        for each in there.values()
        for label in [(each.metadata.labels or {})["kubernetes.io/service-name"]]
    }:
        # Either the next event comes, or some are missed and all is listed anew.
        missed = data.draw(st.integers(0, 3))
        for event in history[done : done + missed + 1]:
            if isinstance(event, str):
                there.pop(event, None)
            else:
                there[event.metadata.name] = event
        if missed == 0 and done < len(history):
            event = history[done]
            changed = view.remove(one(event)) if isinstance(event, str) else view.put(event)
        else:
            changed = view.replace(there.values())
        for service in changed:
            told[service] = view.endpoints(service)
        done += missed + 1
    fresh = SliceView("http", "admin")
    fresh.replace(data.draw(st.permutations(list(there.values()))))
    for service in ("users", "products"):
        assert view.endpoints(service) == fresh.endpoints(service)
        assert told[service] == fresh.endpoints(service), "every change was said to be one"
        names = [each.replica for each in view.endpoints(service)]
        assert len(names) == len(set(names))
