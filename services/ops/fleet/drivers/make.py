"""From a driver's name and the configuration to the driver."""

from __future__ import annotations

import os
from typing import Any

from balancer import Clock, ConfigFile
from balancer.discovery import RegistrySettings
from services.kit.driver_settings import FleetSettings
from services.kit.settings import UpSettings

from ...catalogue import Catalogue, did_you_mean
from .interface import Driver, DriverError

DRIVERS = ("local", "systemd", "cloud")


def make_driver(name: str, file: ConfigFile, *, reactor: Any, clock: Clock) -> Driver:
    """Make a driver; nothing is connected before its first use.

    Args:
        name: one of `DRIVERS`.
        file: the configuration of the replicas that it builds.
        reactor: where its connections and processes live.
        clock: monotonic.

    Raises:
        DriverError: there is no such driver, or it cannot be used as it is configured.
        ConfigError: its settings are wrong.
    """
    # Each brings what its engine needs: imported only when it is chosen.
    match name:
        case "local":
            from .local import LocalDriver  # noqa: PLC0415

            stop_s = file.section("up", UpSettings).stop_s
            return LocalDriver(file.folder, stop_s=stop_s, reactor=reactor)
        case "systemd":
            from .program import Programs  # noqa: PLC0415
            from .systemd import SystemdDriver, runtime_of  # noqa: PLC0415

            catalogue = Catalogue(file)
            settings = file.section("fleet", FleetSettings).systemd
            return SystemdDriver(
                settings,
                config=file.path,
                folder=file.folder,
                own=frozenset(filter(catalogue.has_own, catalogue.services)),
                runtime=runtime_of(settings.manager, os.environ),
                run=Programs(reactor),
            )
        case "cloud":
            return _make_cloud(file, reactor, clock)
    raise DriverError(f"there is no driver {name!r}; {did_you_mean(name, DRIVERS)}")


def _make_cloud(file: ConfigFile, reactor: Any, clock: Clock) -> Driver:
    settings = file.section("fleet", FleetSettings).cloud
    missing = [name for name in ("provider", "image", "size") if not getattr(settings, name)]
    if missing:
        raise DriverError(
            f"the cloud driver needs {', '.join(missing)} in [fleet.cloud]; `txmesh config` says "
            "what each means"
        )
    try:
        from .cloud import CloudDriver  # noqa: PLC0415
        from .provider import Credentials, Provider  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DriverError(
            f"the cloud driver needs Apache Libcloud ({error}): pip install 'txmesh[cloud]'"
        ) from None
    credentials = Credentials(settings, os.environ)
    provider = Provider(settings, credentials, credentials.connect, reactor=reactor)
    registry = file.section("registry", RegistrySettings).url
    return CloudDriver(settings, provider, registry=registry, clock=clock)
