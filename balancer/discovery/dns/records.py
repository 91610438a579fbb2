"""From DNS records to endpoints: PURE, records in, decisions out (RFC 2782).

**Priority**: the targets of the lowest number take the calls. Those of higher numbers are on
standby: they are shown, and not called. RFC 2782 turns to them when none of the lower is
reached; here each process would see that for itself, and half a fleet of callers would call a
reserve that nobody opened. Who keeps the zone takes the lower ones out, and all turn at once.

**Weight**: a hundredth of the record's, so that the usual 100 is 1, and 1 to 65,535 keep their
proportions within the endpoint's range. 0 is the least that there is, which RFC 2782 asks for.

**Addresses**: a target with several is as many replicas; a target that has IPv4 addresses is not
called by its IPv6 addresses too, since these lead to the same replicas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from twisted.names.dns import Record_A, Record_AAAA, Record_CNAME, Record_SOA, Record_SRV, RRHeader

from ...values import Endpoint

LEAST_WEIGHT = 0.001


class Target(NamedTuple):
    """What one SRV record says.

    Attributes:
        host: in lower case, without the last dot.
        port: from 1 to 65535.
        priority: the lower, the earlier.
        weight: the share among those of one priority.
    """

    host: str
    port: int
    priority: int
    weight: int


class Addresses(NamedTuple):
    """Where a target is.

    Attributes:
        found: IP addresses as text; the first family that has any.
        ttl_s: how long that holds, in seconds.
    """

    found: tuple[str, ...]
    ttl_s: int


def read_targets(answers: Iterable[RRHeader]) -> tuple[list[Target], int]:
    """Read the SRV records of an answer.

    Args:
        answers: its answer section; aliases on the way to the records may stand in it.

    Returns:
        The targets, and how long that holds, in seconds.
    """
    targets: list[Target] = []
    ttls: list[int] = []
    for answer in answers:
        record: Any = answer.payload
        if not isinstance(record, Record_SRV | Record_CNAME):
            continue
        ttls.append(answer.ttl)
        # A target "." says that the service is not offered at all.
        if isinstance(record, Record_SRV) and (host := _text(record.target.name)) and record.port:
            targets.append(Target(host, record.port, record.priority, record.weight))
    return targets, min(ttls, default=0)


def read_addresses(records: Iterable[RRHeader], host: str | None = None) -> Addresses | None:
    """Read the addresses of a target.

    Args:
        records: an answer or additional section.
        host: whose addresses: None for all that there are, as in an answer about one host.

    Returns:
        The IPv4 addresses if there is any, else the IPv6 ones; None when there are neither.
    """
    families: dict[type, list[str]] = {Record_A: [], Record_AAAA: []}
    ttls: list[int] = []
    for header in records:
        record: Any = header.payload
        if host is not None and _text(header.name.name) != host:
            continue
        if isinstance(record, Record_CNAME):
            ttls.append(header.ttl)
        elif isinstance(record, Record_A):
            families[Record_A].append(record.dottedQuad())
            ttls.append(header.ttl)
        elif isinstance(record, Record_AAAA):
            families[Record_AAAA].append(str(ip_address(record.address)))
            ttls.append(header.ttl)
    found = families[Record_A] or families[Record_AAAA]
    return Addresses(tuple(sorted(set(found))), min(ttls)) if found else None


def read_absence(authority: Iterable[RRHeader]) -> int:
    """How long a name may be taken not to exist, in seconds (RFC 2308); 0 when it is not said.

    Args:
        authority: that section of the answer.
    """
    for header in authority:
        record: Any = header.payload
        if isinstance(record, Record_SOA):
            return int(min(header.ttl, record.minimum))
    return 0


def to_endpoints(
    service: str, targets: Iterable[Target], addresses: Mapping[str, Sequence[str]]
) -> list[Endpoint]:
    """Make the endpoints of a service.

    Args:
        service: its name.
        targets: what its SRV records say.
        addresses: those of each target's host; a target without any is left out.

    Returns:
        The endpoints by name, each once.
    """
    found = [target for target in set(targets) if addresses.get(target.host)]
    first = min((target.priority for target in found), default=0)
    made: dict[str, Endpoint] = {}
    # The first of two records for one host and port counts: the lower priority, then the weight.
    for target in sorted(found, key=lambda each: (each.priority, -each.weight)):
        there = addresses[target.host]
        name = f"{target.host}:{target.port}"
        for address in there:
            endpoint = Endpoint(
                service=service,
                replica=name if len(there) == 1 else f"{name}@{address}",
                address=f"[{address}]:{target.port}"
                if ":" in address
                else f"{address}:{target.port}",
                weight=max(target.weight / 100, LEAST_WEIGHT),
                standby=target.priority != first,
            )
            made.setdefault(endpoint.replica, endpoint)
    return sorted(made.values(), key=lambda each: each.replica)


def _text(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace").lower().removesuffix(".")
