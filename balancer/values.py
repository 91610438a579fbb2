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
        weight: its share relative to others, from 0.001 to 1,000; 1 is normal. Who is to have no
            calls withdraws.
        started: when it started, in seconds since the epoch, or 0.
        standby: whether it answers, but is not to be called yet: it waits to be announced.
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
    standby: bool = False

    def __post_init__(self) -> None:
        """Check the range: a registry is other people's data, and picks divide by the weight."""
        if not 0.001 <= self.weight <= 1000:
            raise ValueError(f"weight is {self.weight}; it goes from 0.001 to 1000")


class LoadReport(msgspec.Struct, frozen=True):
    """What a replica says of itself on every answer, as ``Mesh-Load``.

    The form is a dictionary of RFC 8941, so that any structured-field parser reads it:
    ``in-flight=3, latency-ms=1.25, age-s=86400, draining``.

    Attributes:
        in_flight: requests in it now.
        latency_ms: how long requests took of late at about that load.
        age_s: since it started.
        draining: whether it is leaving: finish what is there, send nothing new.
    """

    in_flight: int = 0
    latency_ms: float = 0.0
    age_s: int = 0
    draining: bool = False


class Request:
    """A request on its way out, encoded but for what each attempt adds.

    Attributes:
        service: the service's name; also sent as Host.
        method: such as b"GET".
        target: path and query, quoted.
        headers: whole header lines beyond those that the mesh adds, each ending in CRLF.
        body: raw; b"" when there is none.
        key: what its answer depends on: calls with one key go to one replica, whose cache then has
            it, as long as that one is not overloaded; None for any.
        hedge: after which share of the measured latencies a second replica is asked as well, such
            as 0.95; 0.0 for never. Only calls that may be done twice are.
        operation: what is asked, such as "fetch": latencies are measured by it.
    """

    __slots__ = (
        "body",
        "headers",
        "hedge",
        "key",
        "method",
        "operation",
        "service",
        "target",
    )

    def __init__(
        self,
        service: str,
        method: bytes,
        target: bytes,
        headers: bytes = b"",
        body: bytes = b"",
        key: str | None = None,
        hedge: float = 0.0,
        operation: str = "",
    ) -> None:
        """See the class for the arguments."""
        self.service = service
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.key = key
        self.hedge = hedge
        self.operation = operation


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
