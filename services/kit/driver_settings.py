"""How replicas are built for a replacement: the settings of what runs them."""

from __future__ import annotations

from typing import Literal

import msgspec

from balancer import Settings

from .ranges import check_above_zero

DriverName = Literal["local", "systemd", "cloud", "kubernetes"]


class SystemdSettings(Settings, frozen=True, kw_only=True):
    """Replicas as units of systemd on this machine.

    Attributes:
        manager: "system", or "user" for the calling user's own.
        user: whom replicas run as under the system's manager.
        options: what each ``twistd mesh-...`` gets besides, such as
            ``["--listen", "tcp:0:interface=10.0.0.7"]``.
        writable: folders that replicas may write to besides /var/lib/txmesh.
        answer_s: how long systemd may take for an answer, in seconds.
        stop_s: how long it may take to stop a unit, in seconds; above the unit's TimeoutStopSec.
    """

    manager: Literal["system", "user"] = "system"
    user: str = "txmesh"
    options: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    answer_s: float = 10.0
    stop_s: float = 60.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.manager == "system" and not self.user:
            raise ValueError("user must be named: under the system's manager nobody else is meant")
        check_above_zero(self, "answer_s", "stop_s")


class CloudSettings(Settings, frozen=True, kw_only=True):
    """Replicas as servers of a cloud, one a server.

    Attributes:
        provider: its name in Apache Libcloud, such as "openstack" or "ec2"; "" for none.
        key_variable: the environment variable that holds the access key or user name.
        secret_variable: the one that holds its secret; "" for a provider that takes a key alone.
        arguments: what the provider's driver takes besides, such as ``{region="eu-west-1"}``;
            nothing secret.
        image: the server image, by name or id.
        size: the server size, by name or id.
        create: what the provider takes when a server is created besides, such as
            ``{ex_keyname="ops"}``.
        user_data: the name of the argument for the server's first boot; "" for a provider that
            takes none.
        twistd: the program in the image.
        user: whom the replica runs as.
        config: the configuration of the replica, a file in the image; "" has the server write one
            with the registry of this one.
        answer_s: how long the provider may take for an answer, in seconds.
        build_s: how long a server may take until it runs, in seconds; then it is removed.
        look_s: how often its state is asked until then, in seconds.
    """

    provider: str = ""
    key_variable: str = "TXMESH_CLOUD_KEY"
    secret_variable: str = "TXMESH_CLOUD_SECRET"  # noqa: S105 - the variable's name
    arguments: dict[str, str] = msgspec.field(default_factory=dict)
    image: str = ""
    size: str = ""
    create: dict[str, str | int | bool | list[str]] = msgspec.field(default_factory=dict)
    user_data: str = "ex_userdata"
    twistd: str = "/opt/txmesh/.venv/bin/twistd"
    user: str = "txmesh"
    config: str = ""
    answer_s: float = 60.0
    build_s: float = 600.0
    look_s: float = 5.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_above_zero(self, "answer_s", "build_s", "look_s")


class KubernetesSettings(Settings, frozen=True, kw_only=True):
    """Replicas as pods of a Deployment, which has the service's name.

    Attributes:
        url: the API server and the namespace, in the form of a ``kubernetes:`` registry's URL; ""
            takes the registry's.
    """

    url: str = ""


class FleetSettings(Settings, frozen=True, kw_only=True):
    """What builds and removes replicas when a service is replaced.

    Attributes:
        driver: "local" (under `txmesh up`), "systemd", "cloud" or "kubernetes".
        systemd: replicas as units of systemd on this machine.
        cloud: replicas as servers of a cloud, one a server.
        kubernetes: replicas as pods of a Deployment.
    """

    driver: DriverName = "local"
    systemd: SystemdSettings = SystemdSettings()
    cloud: CloudSettings = CloudSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
