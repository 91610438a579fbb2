"""The sections of the configuration that replicas and the command read, and the check of all."""

from __future__ import annotations

from balancer import ConfigFile, Settings
from balancer.discovery import RegistrySettings
from clients import ClientSettings

from .driver_settings import FleetSettings
from .ranges import check_above_zero, check_at_least
from .server import ServerSettings
from .workers import WorkersSettings


class StorageSettings(Settings, frozen=True, kw_only=True):
    """Where records are kept.

    Attributes:
        url: ``sqlite:FOLDER``: one file a service in that folder.
        sample_data: whether an empty store is filled with the sample data; turn it off before a
            store is to hold anything real.
    """

    url: str = "sqlite:.mesh/data"
    sample_data: bool = True


class LogSettings(Settings, frozen=True, kw_only=True):
    """How logs are written.

    Attributes:
        format: "json" (a line an event) or "text".
    """

    format: str = "json"

    def __post_init__(self) -> None:
        """Check the range."""
        if self.format not in ("json", "text"):
            raise ValueError("format is json or text")


class ServiceSettings(Settings, frozen=True, kw_only=True):
    """What the command knows of one service.

    Attributes:
        contract: ``module:Class``; "" for the services that come with txmesh.
        replicas: how many `txmesh up` runs.
        version: what these announce as their version.
        code: the folder to run these from: one with an environment of its own (``.venv``) runs in
            that, another stands first on the module path; "" for what runs the command.
    """

    contract: str = ""
    replicas: int = 2
    version: str = "1"
    code: str = ""

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.replicas <= 100:
            raise ValueError("replicas goes from 0 to 100")


class UpSettings(Settings, frozen=True, kw_only=True):
    """How `txmesh up` keeps replicas running.

    Attributes:
        ready_s: how long a replica may take to become ready, in seconds.
        stop_s: how long a stop waits for replicas to drain before they are killed, in seconds;
            above their own drain_s.
        restart_first_s: the wait before a replica that died is started again, in seconds; it
            doubles with each death.
        restart_most_s: the longest such wait, in seconds; a replica that lived as long begins
            with the first again.
        log_bytes: a replica's log file is moved aside (as .1) when it has grown to this.
    """

    ready_s: float = 30.0
    stop_s: float = 35.0
    restart_first_s: float = 0.1
    restart_most_s: float = 10.0
    log_bytes: int = 10_000_000

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_above_zero(self)
        check_at_least(self, "restart_most_s", "restart_first_s")


# `services` is left out: it is a table of ServiceSettings, one a service.
SECTION_KINDS: dict[str, type[Settings]] = {
    "registry": RegistrySettings,
    "client": ClientSettings,
    "server": ServerSettings,
    "workers": WorkersSettings,
    "storage": StorageSettings,
    "log": LogSettings,
    "up": UpSettings,
    "fleet": FleetSettings,
}


def check_config(file: ConfigFile) -> None:
    """Check a whole configuration, so that a slip anywhere in it is told at every start.

    Raises:
        ConfigError: an unknown key, a wrong type or a value out of range, with its line.
    """
    for name, kind in SECTION_KINDS.items():
        file.section(name, kind)
    file.table("services", ServiceSettings)
    url = file.section("storage", StorageSettings).url
    if url != StorageSettings().url:
        # Behind it stands SQLAlchemy, which takes as long to import as all the rest.
        from .storage import storage_folder  # noqa: PLC0415

        storage_folder(url)
