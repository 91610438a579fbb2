"""What ``systemctl show`` says of units, read. Pure.

A unit's own command line says which replica it is: so those of the driver and those that were
written by hand are found alike.
"""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from typing import Literal, NamedTuple

from .interface import Built

PROPERTIES = (
    "Id",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainCode",
    "ExecMainStatus",
    "ActiveEnterTimestampMonotonic",
    "ExecStart",
)
_ARGV = re.compile(r"argv\[\]=(.*?) ; ignore_errors=").search
# `si_code` of a child that a signal has ended, with and without a core.
_BY_SIGNAL = ("2", "3")


class Unit(NamedTuple):
    """One unit that runs a replica.

    Attributes:
        name: the unit's, with its suffix.
        built: the replica in it.
    """

    name: str
    built: Built


def read_units(shown: str) -> list[Unit]:
    """Read all units that run replicas.

    Args:
        shown: the output: ``Name=value`` lines, an empty line between units.
    """
    units = []
    for block in re.split(r"\n\s*\n", shown.strip()):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        replica = _replica(fields.get("ExecStart", ""))
        # An inactive one was stopped or has left: nothing of it remains but maybe a file.
        if replica is not None and fields.get("ActiveState") != "inactive":
            service, name, version = replica
            state, why = _state(fields)
            built = Built(replica=name, service=service, version=version, state=state, why=why)
            units.append(Unit(fields.get("Id", ""), built))
    return units


def _replica(exec_start: str) -> tuple[str, str, str] | None:
    """The service, name and version that a command line says; None when it is no replica's."""
    found = _ARGV(exec_start)
    if found is None:
        return None
    try:
        words = shlex.split(found[1])
    except ValueError:
        words = found[1].split()
    said = dict(pairwise(words))
    said |= dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    service = next((w.removeprefix("mesh-") for w in words if w.startswith("mesh-")), None)
    name = said.get("--name")
    if service is None or name is None:
        return None
    return service, name, said.get("--release", "1")


def _state(fields: dict[str, str]) -> tuple[Literal["running", "ended", "failed"], str]:
    if fields.get("ActiveState") != "failed":
        return "running", ""
    was_ready = fields.get("ActiveEnterTimestampMonotonic", "0") not in ("", "0")
    return ("ended" if was_ready else "failed"), _why(fields)


def _why(fields: dict[str, str]) -> str:
    status = fields.get("ExecMainStatus", "?")
    if fields.get("ExecMainCode") in _BY_SIGNAL:
        how = f"was killed by signal {status}"
    else:
        how = f"ended with status {status}"
    return f"{how} ({fields.get('Result', '?')}, says systemd)"
