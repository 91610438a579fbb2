"""The sections of the configuration that a replica reads."""

from __future__ import annotations

from balancer import Settings


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
    """

    contract: str = ""
    replicas: int = 2

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.replicas <= 100:
            raise ValueError("replicas goes from 0 to 100")
