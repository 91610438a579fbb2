"""From a registry's URL to the registry."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..config import Settings
from ..errors import ConfigError
from .dns import DnsRegistry, parse_dns
from .folder import FolderRegistry
from .interface import Registry
from .kubernetes import SCHEMES as KUBERNETES
from .kubernetes import KubernetesRegistry, parse_kubernetes, place_of
from .redis import SCHEMES as REDIS
from .redis import RedisRegistry, parse_redis, read_password
from .static import StaticRegistry, parse_static

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+-]{0,31}").fullmatch


class RegistrySettings(Settings, frozen=True, kw_only=True):
    """Where replicas are found.

    Attributes:
        url: ``file:FOLDER`` (leases in a folder), ``static:users=host:port|host:port,...``,
            ``redis://[[user]:password@]host[:port][/db]`` or
            ``redis+sentinel://[[user]:password@]host:port,host:port,.../MASTER[/db]``; the last two
            take ``?prefix=NAME`` and, instead of a password, ``?password_file=PATH``. SRV records:
            ``dns+srv://[RESOLVER[:PORT]]/PATTERN``, with ``{service}`` in the pattern.
            EndpointSlices: ``kubernetes:?namespace=NAME`` in a pod, elsewhere
            ``kubernetes://HOST:PORT?namespace=NAME&token=FILE&ca=FILE``, or
            ``kubernetes+http://HOST:PORT?namespace=NAME`` through ``kubectl proxy``.
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
    reactor: Any,
    clock: Clock,
    rng: random.Random,
) -> Registry:
    """Open the registry that a URL names; nothing is connected before its first use.

    Args:
        settings: the URL and the times.
        folder: what a relative path is relative to.
        reactor: where its sockets live; None when only the settings are checked.
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
    if separator and scheme == "dns+srv":
        return DnsRegistry(parse_dns(rest), reactor=reactor, clock=clock, rng=rng)
    if separator and scheme in KUBERNETES:
        # A configuration for pods can be checked anywhere.
        read = parse_kubernetes if reactor is None else place_of
        place = read(settings.url, folder)
        return KubernetesRegistry(
            place, ttl_s=settings.ttl_s, reactor=reactor, clock=clock, rng=rng
        )
    if separator and scheme in REDIS:
        return RedisRegistry(
            read_password(parse_redis(settings.url), folder),
            ttl_s=settings.ttl_s,
            reread_s=settings.reread_s,
            reactor=reactor,
            clock=clock,
            rng=rng,
        )
    # A misspelt scheme may stand before a password, which has no sure place in what is misspelt.
    shown = f"{scheme}:..." if separator and _SCHEME(scheme) else "..."
    raise ConfigError(
        f"registry url {shown!r} is not understood; "
        "use file:FOLDER or static:SERVICE=HOST:PORT|HOST:PORT, "
        "redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTERNAME, "
        "dns+srv:///PATTERN or kubernetes:"
    )
