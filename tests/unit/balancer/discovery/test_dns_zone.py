from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from twisted.internet.task import Clock

from balancer import ConfigError
from balancer.discovery import RegistrySettings, open_registry
from balancer.discovery.dns import DnsRegistry, Zone, parse_dns
from balancer.discovery.dns.ask import read_servers


@pytest.mark.parametrize(
    ("rest", "zone", "url"),
    [
        (
            "///_{service}._tcp.mesh.internal",
            Zone("_{service}._tcp.mesh.internal"),
            "dns+srv:///_{service}._tcp.mesh.internal",
        ),
        (
            "//10.0.0.2/{service}.mesh.internal.",
            Zone("{service}.mesh.internal", ("10.0.0.2", 53)),
            "dns+srv://10.0.0.2:53/{service}.mesh.internal",
        ),
        (
            "//[fd00:0::2]:5353/mesh-{service}.internal",
            Zone("mesh-{service}.internal", ("fd00::2", 5353)),
            "dns+srv://[fd00::2]:5353/mesh-{service}.internal",
        ),
        ("//[::1]/{service}", Zone("{service}", ("::1", 53)), "dns+srv://[::1]:53/{service}"),
    ],
)
def test_a_url_says_whom_to_ask_for_what(rest: str, zone: Zone, url: str) -> None:
    assert parse_dns(rest) == zone
    assert zone.url == url
    assert parse_dns(url.removeprefix("dns+srv:")) == zone


@pytest.mark.parametrize(
    ("rest", "named"),
    [
        ("", "{service}"),
        ("//", "{service}"),
        ("_{service}._tcp.mesh.internal", "{service}"),
        ("///_users._tcp.mesh.internal", "{service}"),
        ("///{service}.{service}.internal", "{service}"),
        ("///{service}..internal", "{service}"),
        ("///{service}.mesh internal", "{service}"),
        ("///{service}.mesh/internal", "{service}"),
        ("///{service}.mesh?x=1", "{service}"),
        ("//ns.example/{service}.internal", "'ns.example' is not an IP address"),
        ("//10.0.0.2:dns/{service}.internal", "'10.0.0.2:dns'"),
        ("//10.0.0.2:0/{service}.internal", "'10.0.0.2:0'"),
        ("//10.0.0.2:65536/{service}.internal", "'10.0.0.2:65536'"),
        ("//10.0.0.2:/{service}.internal", "'10.0.0.2:'"),
        ("//[fd00::2/{service}.internal", "'[fd00::2'"),
        ("//fd00::2/{service}.internal", "'fd00::2'"),
        ("//[10.0.0.2]/{service}.internal", "'[10.0.0.2]'"),
    ],
)
def test_what_does_not_fit_is_named(rest: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dns(rest)
    assert named in str(caught.value)
    assert "such as" in str(caught.value)


def test_a_service_is_one_label_of_the_name() -> None:
    zone = Zone("_{service}._tcp.mesh.internal")
    assert zone.name("users") == "_users._tcp.mesh.internal"
    assert zone.name("user_records-2") == "_user_records-2._tcp.mesh.internal"
    assert zone.name("x" * 62) == f"_{'x' * 62}._tcp.mesh.internal"
    for service in ("", "a.b", "-x", "x-", "../users", "us ers", "\u00fcsers", "x" * 63):
        assert zone.name(service) is None, service
    assert Zone("{service}" + ".internal" * 27).name("x" * 20) is None, "the whole is too long"


def test_nothing_is_asked_before_somebody_watches(tmp_path: Path) -> None:
    clock = Clock()
    registry = open_registry(
        RegistrySettings(url="dns+srv:///{service}.internal"),
        tmp_path,
        reactor=None,
        clock=clock,
        rng=Random(1),
    )
    assert isinstance(registry, DnsRegistry)
    assert registry.age_s() is None
    told: list[object] = []
    registry.watch("../users", told.append)()
    assert told == [[]]
    registry.close()
    assert not clock.getDelayedCalls()


def test_the_servers_of_this_machine_are_those_of_its_resolv_conf() -> None:
    text = "# nameserver 10.0.0.9\nsearch example.com\nnameserver 10.0.0.2\nnameserver\n nameserver fd00::2 # two\n"
    assert read_servers(text.splitlines()) == [("10.0.0.2", 53), ("fd00::2", 53)]
    assert read_servers([]) == []
