"""Where in the DNS the replicas of a service are found: ``dns+srv://[RESOLVER[:PORT]]/PATTERN``."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from ...errors import ConfigError

PLACE = "{service}"
_PORT = 53
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?").fullmatch
# One label, so that a service's name cannot lead to another part of the zone.
_SERVICE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?").fullmatch
_RESOLVER = re.compile(r"(?:\[(.*:.*)\]|([0-9.]+))(?::([0-9]{1,5}))?").fullmatch
# The longest name that the DNS can ask for (RFC 1035, 2.3.4), as text.
_LONGEST = 253


class Zone(NamedTuple):
    """See the module.

    Attributes:
        pattern: the name of a service's SRV records, with ``{service}`` in it.
        resolver: (IP address, port) of the server to ask, or None for those of this machine.
    """

    pattern: str
    resolver: tuple[str, int] | None = None

    @property
    def url(self) -> str:
        """The registry's URL, as a whole."""
        if self.resolver is None:
            return f"dns+srv:///{self.pattern}"
        host, port = self.resolver
        return f"dns+srv://{f'[{host}]' if ':' in host else host}:{port}/{self.pattern}"

    def name(self, service: str) -> str | None:
        """The name to ask for, or None where no service can have such a name."""
        name = self.pattern.replace(PLACE, service)
        labels = name.split(".")
        if _SERVICE(service) and len(name) <= _LONGEST and all(map(_LABEL, labels)):
            return name
        return None


def parse_dns(rest: str) -> Zone:
    """Read what follows ``dns+srv:`` in a registry's URL.

    Args:
        rest: such as ``///_{service}._tcp.mesh.internal`` or
            ``//10.0.0.2:53/{service}.mesh.internal``.

    Raises:
        ConfigError: it reads otherwise.
    """
    slashes, _, pattern = rest.removeprefix("//").partition("/")
    pattern = pattern.removesuffix(".")
    zone = Zone(pattern)
    if not rest.startswith("//") or pattern.count(PLACE) != 1 or zone.name("x") is None:
        raise ConfigError(
            f"registry url 'dns+srv:{rest}' needs a name with {PLACE} in it, "
            "such as dns+srv:///_{service}._tcp.mesh.internal or "
            "dns+srv://10.0.0.2:53/{service}.mesh.internal"
        )
    return zone._replace(resolver=_resolver(slashes)) if slashes else zone


def _resolver(text: str) -> tuple[str, int]:
    """Read ``ADDRESS``, ``ADDRESS:PORT``, ``[V6]`` or ``[V6]:PORT``."""
    found = _RESOLVER(text)
    try:
        host = str(ip_address(found[1] or found[2] if found else text))
        port = int(found[3] or _PORT) if found else 0
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise ConfigError(
            f"registry url: the DNS server {text!r} is not an IP address with or without a port, "
            "such as 10.0.0.2:53 or [fd00::2]:53"
        )
    return host, port
