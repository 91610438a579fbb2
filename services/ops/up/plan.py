"""Which replicas `txmesh up` runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from services.kit.settings import ServiceSettings

from ..catalogue import did_you_mean
from ..faults import Misused


class Slot(NamedTuple):
    """One replica that is to run, whichever process it is at the moment.

    Attributes:
        service: its service's name.
        replica: its own name, such as "users-1".
        version: what it announces as its version.
        code: the folder to run it from; "" for what runs now.
        mark: the file that says that it was announced; None for one that takes calls at once.
    """

    service: str
    replica: str
    version: str = "1"
    code: str = ""
    mark: Path | None = None


def plan(
    services: Mapping[str, ServiceSettings], chosen: Sequence[str], replicas: int | None
) -> list[Slot]:
    """Lay out the replicas.

    Args:
        services: every known service's settings.
        chosen: those that were asked for; all when empty.
        replicas: how many of each; None for what the settings say.

    Returns:
        At least one slot, a service after the other.

    Raises:
        Misused: an unknown service, or no replica at all.
    """
    for name in chosen:
        if name not in services:
            raise Misused(f"there is no service {name!r}; {did_you_mean(name, services)}")
    slots = [
        Slot(name, f"{name}-{number}", services[name].version, services[name].code)
        for name in dict.fromkeys(chosen or sorted(services))
        for number in range(1, (services[name].replicas if replicas is None else replicas) + 1)
    ]
    if not slots:
        raise Misused("the configuration asks for no replica at all; say --replicas N")
    return slots
