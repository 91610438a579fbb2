from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from twisted.internet.task import Clock

from balancer import ConfigError
from balancer.discovery import RegistrySettings, open_registry
from balancer.discovery.kubernetes import KubernetesRegistry, parse_kubernetes
from balancer.discovery.kubernetes.place import LABEL, POD_FILES, Place, in_pod

FOLDER = Path("/etc/txmesh")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "kubernetes:",
            Place("", True, "", token=POD_FILES / "token", ca=POD_FILES / "ca.crt"),
        ),
        (
            "kubernetes:?namespace=mesh&label=a/b=c,d=e&port=web&admin=ops",
            Place(
                "",
                True,
                "mesh",
                "a/b=c,d=e",
                "web",
                "ops",
                POD_FILES / "token",
                POD_FILES / "ca.crt",
            ),
        ),
        ("kubernetes://api.example:6443?namespace=mesh", Place("api.example:6443", True, "mesh")),
        (
            "kubernetes://[fd00::1]:6443/?namespace=mesh&token=mesh.token&ca=/etc/ca.pem",
            Place(
                "[fd00::1]:6443",
                True,
                "mesh",
                token=FOLDER / "mesh.token",
                ca=Path("/etc/ca.pem"),
            ),
        ),
        ("kubernetes+http://127.0.0.1:8001?namespace=mesh", Place("127.0.0.1:8001", False, "mesh")),
    ],
)
def test_a_url_says_where_the_server_is_and_what_is_watched(url: str, place: Place) -> None:
    assert parse_kubernetes(url, FOLDER) == place


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("kubernetes:10.0.0.1:6443?namespace=mesh", "is not understood"),
        ("kubernetes://10.0.0.1?namespace=mesh", "'10.0.0.1' is not host:port"),
        ("kubernetes://10.0.0.1:x?namespace=mesh", "'10.0.0.1:x' is not host:port"),
        ("kubernetes://10.0.0.1:6443/api?namespace=mesh", "'10.0.0.1:6443/api' is not host:port"),
        ("kubernetes://10.0.0.1:6443", "needs a namespace"),
        ("kubernetes:?namespace=Mesh", "'Mesh' is no namespace"),
        ("kubernetes:?namespace=../pods", "'../pods' is no namespace"),
        ("kubernetes:?namespace=", "give 'namespace' one value"),
        ("kubernetes:?namespace=a&namespace=b", "give 'namespace' one value"),
        ("kubernetes:?namespace", "bad query field"),
        ("kubernetes:?namspace=mesh", "there is no 'namspace'; did you mean 'namespace'?"),
        ("kubernetes:?x=y", "known are: namespace, label, port, admin, token, ca"),
        ("kubernetes+http:?namespace=mesh", "needs the proxy's address"),
        ("kubernetes+http://h:1?namespace=mesh&token=t", "never sent without TLS"),
        ("kubernetes+http://h:1?namespace=mesh&ca=t", "no certificate to check"),
    ],
)
def test_what_does_not_fit_is_named(url: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_kubernetes(url, FOLDER)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pod_is_told_by_its_environment() -> None:
    place = parse_kubernetes("kubernetes:", FOLDER)
    found = in_pod(place, "10.96.0.1", "443", "mesh")
    assert (found.server, found.namespace, found.label) == ("10.96.0.1:443", "mesh", LABEL)
    assert in_pod(place, "fd00::1", "443", "mesh").server == "[fd00::1]:443"
    other = parse_kubernetes("kubernetes:?namespace=other", FOLDER)
    assert in_pod(other, "10.96.0.1", "443", "mesh").namespace == "other"
    assert in_pod(other, "10.96.0.1", "443", "").namespace == "other"
    outside = parse_kubernetes("kubernetes://h:1?namespace=other", FOLDER)
    assert in_pod(outside, "10.96.0.1", "443", "mesh") == outside
    for host, namespace in (("", "mesh"), ("10.96.0.1", "")):
        with pytest.raises(ConfigError, match="works in a pod with a service account"):
            in_pod(place, host, "443", namespace)


def test_the_url_for_people_says_where() -> None:
    for url, shown in (
        ("kubernetes:", "kubernetes:"),
        ("kubernetes:?label=a/b=c,d&namespace=mesh", "kubernetes:?namespace=mesh&label=a/b=c,d"),
        ("kubernetes://h:1/?token=t&namespace=mesh", "kubernetes://h:1?namespace=mesh"),
        ("kubernetes+http://h:1?namespace=mesh", "kubernetes+http://h:1?namespace=mesh"),
    ):
        assert parse_kubernetes(url, FOLDER).url == shown


def test_a_configuration_for_pods_can_be_checked_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    settings = RegistrySettings(url="kubernetes:?namespace=mesh")
    registry = open_registry(settings, tmp_path, reactor=None, clock=clock, rng=Random(1))
    assert isinstance(registry, KubernetesRegistry)
    assert registry.age_s() is None
    registry.close()
    assert not clock.getDelayedCalls()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match="works in a pod"):
        open_registry(settings, tmp_path, reactor=object(), clock=clock, rng=Random(1))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    open_registry(settings, tmp_path, reactor=object(), clock=clock, rng=Random(1)).close()
