"""Who competes with whom: the replicas that may be picked, split into groups with fixed shares.

Within a group load decides; between groups the share does, whatever the load. One group, with all
replicas in it, is the rule.

*Versions.* A new version is tried on a twentieth of the calls, not on a twentieth of the replicas:
``versions = {"2" = 0.05}`` gives version 2 that share, be it one replica or fifty, and all other
versions together the rest. If load decided, a canary that fails fast or does less would get more.
The share of a version without an available replica goes to the others.

*Zones.* A call within the caller's zone is faster and costs less, so calls stay there as long as
seven tenths of the zone's replicas are available, and below that as many go elsewhere as those that
are left cannot bear: 1.4 times their number stay. The factor is Envoy's overprovisioning factor:
a fleet that is sized for the loss of a zone has that much to spare. What the zone *should* have is
the number of its replicas or an even part of the fleet, whichever is more; else a zone with one
replica of a hundred would send that one all of its calls.

Sources: Envoy, "Priority levels" and "Zone aware routing" in its documentation of load balancing.
The latter also compares with where the callers are; here they are taken to be spread evenly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..values import Endpoint
from .balancing import BalancingSettings
from .replica import Replica

# What a zone can bear beyond its even share: Envoy's figure.
_OVERPROVISION = 1.4
# Of rounding: less than this is no share.
_NOTHING = 1e-9


class Group(NamedTuple):
    """Replicas that compete with each other.

    Attributes:
        name: what they have in common; "" for the one group of all.
        share: of the calls; those of all groups make 1.
        replicas: at least one.
    """

    name: str
    share: float
    replicas: Sequence[Replica]


def group_name(endpoint: Endpoint, settings: BalancingSettings) -> str:
    """The group of an endpoint: "VERSION/ZONE", or VERSION alone when no zone is preferred.

    Args:
        endpoint: whose.
        settings: what to split by; a version or a zone that they do not name is "".
    """
    version = endpoint.version if endpoint.version in settings.versions else ""
    if not settings.zone:
        return version
    return f"{version}/{settings.zone if endpoint.zone == settings.zone else ''}"


def split(
    available: Sequence[Replica], known: Sequence[Replica], settings: BalancingSettings
) -> list[Group]:
    """Split replicas into groups.

    Args:
        available: those that may be picked; at least one.
        known: all of the fleet, the ill ones too.
        settings: what to split by.

    Returns:
        At least one group; each has at least one replica, and a share above 0.
    """
    if not settings.versions and not settings.zone:
        return [Group("", 1.0, available)]
    present = _by_version(available, settings)
    shares = _version_shares(present, settings.versions)
    if not settings.zone:
        return [Group(version, shares[version], present[version]) for version in shares]
    all_known = _by_version(known, settings)
    return [
        group
        for version, share in shares.items()
        for group in _zones(version, share, present[version], all_known[version], settings.zone)
    ]


def _by_version(
    replicas: Sequence[Replica], settings: BalancingSettings
) -> dict[str, list[Replica]]:
    """By the named versions; all others are ""."""
    found: dict[str, list[Replica]] = {}
    for replica in replicas:
        version = replica.endpoint.version
        found.setdefault(version if version in settings.versions else "", []).append(replica)
    return found


def _version_shares(
    present: Mapping[str, Sequence[Replica]], wanted: Mapping[str, float]
) -> dict[str, float]:
    """The shares, all above 0, of the versions that are present."""
    # In the order of the settings: a key's place among the shares must not hang on who is well.
    shares = {version: share for version, share in wanted.items() if version in present}
    if "" in present:
        shares[""] = 1 - sum(shares.values())
    # A sum of decimal fractions may miss 1 by a rounding error.
    shares = {version: share for version, share in shares.items() if share > _NOTHING}
    if not shares:
        # Only versions that were to have nothing are left, which is better than no answer.
        shares = {version: len(replicas) for version, replicas in present.items()}
    total = sum(shares.values())
    return {version: share / total for version, share in shares.items()}


def _zones(
    version: str, share: float, available: Sequence[Replica], known: Sequence[Replica], zone: str
) -> list[Group]:
    """Split one version's replicas, and its share, between the caller's zone and the others."""
    home = [replica for replica in available if replica.endpoint.zone == zone]
    away = [replica for replica in available if replica.endpoint.zone != zone]
    if not home:
        return [Group(f"{version}/", share, away)]
    zones = Counter(replica.endpoint.zone for replica in known)
    should_have = max(zones[zone], len(known) / len(zones))
    stays = min(1.0, _OVERPROVISION * len(home) / should_have) if away else 1.0
    groups = [Group(f"{version}/{zone}", share * stays, home)]
    if stays < 1:
        groups.append(Group(f"{version}/", share * (1 - stays), away))
    return groups
