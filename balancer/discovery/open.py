"""From a registry's URL to the registry."""

from __future__ import annotations

from pathlib import Path

from ..clock import Clock
from ..config import Settings
from ..errors import ConfigError
from .folder import FolderRegistry
from .interface import Registry
from .static import StaticRegistry, parse_static


class RegistrySettings(Settings, frozen=True, kw_only=True):
    """Where replicas are found.

    Attributes:
        url: ``file:FOLDER`` (leases in a folder) or ``static:users=host:port|host:port,...``.
    """

    url: str = "file:.mesh/leases"


def open_registry(settings: RegistrySettings, folder: Path, clock: Clock) -> Registry:
    """Open the registry that a URL names.

    Args:
        settings: the URL.
        folder: what a relative path is relative to.
        clock: monotonic.

    Raises:
        ConfigError: an unknown scheme, or a text that does not fit its scheme.
    """
    scheme, separator, rest = settings.url.partition(":")
    if separator and scheme == "file" and (path := rest.removeprefix("//")):
        return FolderRegistry(folder / path, clock)
    if separator and scheme == "static":
        return StaticRegistry(parse_static(rest))
    raise ConfigError(
        f"registry url {settings.url!r} is not understood; "
        "use file:FOLDER or static:SERVICE=HOST:PORT|HOST:PORT"
    )
