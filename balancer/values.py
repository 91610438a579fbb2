"""The words that every room shares: endpoint, request, reply."""

from __future__ import annotations

import re

import msgspec

from .errors import ConfigError

_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})").fullmatch


def split_address(address: str) -> tuple[str, int]:
    """Cut "host:port" or "[v6]:port".

    Raises:
        ConfigError: it is neither.
    """
    found = _ADDRESS(address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ConfigError(f"address {address!r} is not host:port, such as 127.0.0.1:8080")
    return found[1].strip("[]"), int(found[2])


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One replica as discovery tells of it.

    Attributes:
        service: the service's name.
        replica: the replica's own name, unique within the service, such as "users-1".
        address: "host:port" of its service port.
        admin: "host:port" of its admin port, or "" when unknown.
        pid: its process id on its own machine, or 0.
        version: what it runs.
        zone: where it runs, or "".
        weight: its share relative to others; 1 is normal.
        started: when it started, in seconds since the epoch, or 0.
    """

    service: str
    replica: str
    address: str
    admin: str = ""
    pid: int = 0
    version: str = ""
    zone: str = ""
    weight: float = 1.0
    started: float = 0.0


class Request:
    """A request on its way out, encoded but for what each attempt adds.

    Attributes:
        service: the service's name; also sent as Host.
        method: such as b"GET".
        target: path and query, quoted.
        headers: whole header lines beyond those that the mesh adds, each ending in CRLF.
        body: raw; b"" when there is none.
    """

    __slots__ = ("body", "headers", "method", "service", "target")

    def __init__(
        self, service: str, method: bytes, target: bytes, headers: bytes = b"", body: bytes = b""
    ) -> None:
        """See the class for the arguments."""
        self.service = service
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body


class Reply:
    """A whole answer as received.

    Attributes:
        status: the HTTP status.
        headers: (name, value) pairs in the order and case in which they came.
        body: raw.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """See the class for the arguments."""
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header.

        Args:
            name: in lower case.

        Returns:
            The value, or None when the header did not come.
        """
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None
