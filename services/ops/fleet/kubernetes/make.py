"""From the command line and the configuration to an order and the cluster that takes it."""

from __future__ import annotations

from typing import Any

from balancer import Clock, ConfigFile
from balancer.discovery import RegistrySettings
from balancer.discovery.kubernetes import SCHEMES, KubernetesApi, place_of
from services.kit.driver_settings import FleetSettings

from ..drivers.interface import DriverError
from ..plan.view import Wanted
from .cluster import Cluster
from .decide import Order


def make_order(wanted: Wanted) -> Order:
    """What is wanted, as far as a cluster can do it.

    Raises:
        DriverError: it cannot.
    """
    if wanted.code:
        raise DriverError("a cluster runs images: give --image instead of --code")
    if wanted.share is not None or wanted.hold:
        raise DriverError(
            "a cluster replaces all pods of a Deployment: --canary and --hold are not for it. Two "
            "versions side by side are two Deployments; see docs/how-to/registries.md"
        )
    return Order(
        version=wanted.version,
        image=wanted.image,
        replicas=wanted.replicas,
        generation=wanted.generation,
        bake_s=wanted.bake_s,
        ready_s=wanted.ready_s,
        traffic=wanted.traffic,
        abort=wanted.abort,
    )


def open_cluster(file: ConfigFile, *, reactor: Any, clock: Clock) -> Cluster:
    """The cluster that the configuration names; nothing is connected before its first use.

    Raises:
        ConfigError: its URL cannot be used.
        DriverError: none is named.
    """
    url = file.section("fleet", FleetSettings).kubernetes.url
    url = url or file.section("registry", RegistrySettings).url
    if url.partition(":")[0] not in SCHEMES:
        raise DriverError(
            "no cluster is named: write [fleet.kubernetes] url, such as "
            '"kubernetes://HOST:PORT?namespace=txmesh&token=FILE&ca=FILE", or use such a registry'
        )
    place = place_of(url, file.folder)
    return Cluster(KubernetesApi(place, reactor, clock), place.namespace)
