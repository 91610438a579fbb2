"""From a registry's URL to the registry."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

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
        ttl_s: how long an entry stays when its replica is silent, in seconds, in a registry that
            cannot tell by itself; it is renewed three times as often.
        reread_s: how often all is read anew, in seconds, in case a change was missed.
        known: the folder in which callers keep what they knew last, for when they start while the
            registry is lost; "" for nowhere.
    """

    url: str = "file:.mesh/leases"
    ttl_s: float = 10.0
    reread_s: float = 15.0
    known: str = ".mesh/known"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.ttl_s <= 3600:
            raise ValueError("ttl_s goes from 1 to 3600")
        if not 1 <= self.reread_s <= 3600:
            raise ValueError("reread_s goes from 1 to 3600")


def open_registry(
    settings: RegistrySettings,
    folder: Path,
    *,
    reactor: Any,  # noqa: ARG001
    clock: Clock,
    rng: random.Random,  # noqa: ARG001
) -> Registry:
    """Open the registry that a URL names; nothing is connected before its first use.

    Args:
        settings: the URL and the times.
        folder: what a relative path is relative to.
        reactor: where its sockets live.
        clock: monotonic.
        rng: for jitter.

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
