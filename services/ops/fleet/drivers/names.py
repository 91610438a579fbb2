"""Names that become parts of command lines, units, files and machines."""

from __future__ import annotations

import re

from .interface import Build, DriverError

_SERVICE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch
_REPLICA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}").fullmatch


def checked_replica(replica: str) -> str:
    """A replica's name.

    Raises:
        DriverError: it is none.
    """
    if not _REPLICA(replica):
        raise DriverError(
            f"{replica!r} is no name for a replica: 1 to 100 letters, digits, dots, dashes and "
            "underscores, the first a letter or a digit"
        )
    return replica


def checked_service(service: str) -> str:
    """A service's name.

    Raises:
        DriverError: it is none.
    """
    if not _SERVICE(service):
        raise DriverError(f"{service!r} is no service's name, such as users or gift-cards")
    return service


def checked_build(build: Build) -> Build:
    """A build whose names are such.

    Raises:
        DriverError: one of them is none.
    """
    checked_service(build.service)
    checked_replica(build.replica)
    if not _VERSION(build.version):
        raise DriverError(
            f"{build.version!r} is no version for this driver: 1 to 100 letters, digits, dots, "
            "dashes, underscores and plus signs, the first a letter or a digit"
        )
    return build
