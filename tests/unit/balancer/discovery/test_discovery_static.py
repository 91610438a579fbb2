from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from twisted.internet.task import Clock

from balancer import ConfigError, Endpoint, RegistryError
from balancer.discovery import (
    FolderRegistry,
    Registry,
    RegistrySettings,
    StaticRegistry,
    open_registry,
)
from balancer.discovery.static import parse_static
from tests.deferreds import now


def parsed(text: str) -> list[tuple[str, str, str]]:
    return [(each.service, each.replica, each.address) for each in parse_static(text)]


def test_services_and_addresses_are_read() -> None:
    assert parsed("users=127.0.0.1:8001|127.0.0.1:8002, products=shop.example:80 ,") == [
        ("users", "users-1", "127.0.0.1:8001"),
        ("users", "users-2", "127.0.0.1:8002"),
        ("products", "products-1", "shop.example:80"),
    ]
    assert parsed("users=[::1]:8001| 127.0.0.1:8002") == [
        ("users", "users-1", "[::1]:8001"),
        ("users", "users-2", "127.0.0.1:8002"),
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("users", "'users'"),
        ("users=", "'users='"),
        ("=127.0.0.1:1", "'=127.0.0.1:1'"),
        ("users=127.0.0.1", "'127.0.0.1'"),
        ("users=:80", "':80'"),
        ("users=127.0.0.1:http", "'127.0.0.1:http'"),
        ("users=127.0.0.1:0", "'127.0.0.1:0'"),
        ("users=127.0.0.1:65536", "'127.0.0.1:65536'"),
        ("users=127.0.0.1:-1", "'127.0.0.1:-1'"),
        ("users=127.0.0.1:\u0668", "'127.0.0.1:\u0668'"),
        ("users=127.0.0.1:²", "'127.0.0.1:²'"),
        ("users=127.0.0.1:80||127.0.0.1:81", "''"),
        ("users=a:1;products=b:2", "'a:1;products=b:2'"),
        ("us ers=a:1", "'us ers=a:1'"),
        ("users=a b:1", "'a b:1'"),
        ("users=a:1,users=b:2", "'users' is given twice"),
        ("users=a:1|a:1", "'a:1' is given twice"),
    ],
)
def test_what_does_not_fit_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_static(text)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_watcher_is_told_once_of_its_own_service() -> None:
    registry = StaticRegistry(parse_static("users=a:1|b:2,products=c:3"))
    told: list[list[str]] = []

    def listen(endpoints: Sequence[Endpoint]) -> None:
        told.append([endpoint.address for endpoint in endpoints])

    end = registry.watch("users", listen)
    registry.watch("nobody", listen)
    end()
    assert told == [["a:1", "b:2"], []]
    assert [endpoint.address for endpoint in now(registry.endpoints())] == ["a:1", "b:2", "c:3"]
    assert registry.age_s() == 0
    registry.close()


def test_a_replica_must_listen_where_it_is_written_down() -> None:
    registry = StaticRegistry(parse_static("users=127.0.0.1:1"))
    registry.announce(Endpoint(service="users", replica="x", address="127.0.0.1:1")).withdraw()
    with pytest.raises(
        RegistryError, match=r"users only at 127.0.0.1:1; listen there with --listen"
    ):
        registry.announce(Endpoint(service="users", replica="x", address="127.0.0.1:2"))
    with pytest.raises(RegistryError, match="products only at no address"):
        registry.announce(Endpoint(service="products", replica="x", address="127.0.0.1:1"))


def test_it_keeps_no_locks_and_takes_nothing_once_it_is_closed() -> None:
    registry = StaticRegistry(parse_static("users=127.0.0.1:1"))
    with pytest.raises(RegistryError, match="keeps no locks"):
        now(registry.lock("replace.users", "me"))
    with pytest.raises(RegistryError, match="keeps no locks"):
        now(registry.holder("replace.users"))
    registry.close()
    with pytest.raises(RegistryError, match="the registry static:users was closed"):
        registry.announce(Endpoint(service="users", replica="x", address="127.0.0.1:1"))
    with pytest.raises(RegistryError, match="was closed"):
        now(registry.lock("replace.users", "me"))
    with pytest.raises(RegistryError, match="was closed"):
        now(registry.holder("replace.users"))


def opened(url: str, folder: Path) -> Registry:
    settings = RegistrySettings(url=url)
    return open_registry(settings, folder, reactor=None, clock=Clock(), rng=Random(1))


def test_a_url_opens_its_kind_of_registry(tmp_path: Path) -> None:
    assert isinstance(opened("static:users=a:1", tmp_path), StaticRegistry)
    registry = opened("file:some/leases", tmp_path)
    assert isinstance(registry, FolderRegistry)
    registry.announce(Endpoint(service="users", replica="users-1", address="a:1"))
    assert (tmp_path / "some" / "leases" / "users").is_dir()
    absolute = opened(f"file://{tmp_path}/other", tmp_path)
    assert isinstance(absolute, FolderRegistry)
    absolute.announce(Endpoint(service="users", replica="users-1", address="a:1"))
    assert (tmp_path / "other" / "users").is_dir()


@pytest.mark.parametrize(
    "url", ["", "file", "file:", "file://", "consul://x", "leases", "static", ":x"]
)
def test_a_url_that_is_not_understood_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="use file:FOLDER or static:"):
        opened(url, tmp_path)
