"""What services, replicas and locks may be called. Pure."""

from __future__ import annotations

import re

from ..errors import RegistryError

# Of a service or a replica; such a name may come out of a URL, and must not lead out of a folder.
is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch

# A lock's has a service's in it, and more.
_is_lock_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}").fullmatch


def check_lock_name(name: str) -> None:
    """Refuse what no registry takes for the name of a lock.

    Raises:
        RegistryError: it is empty, too long, or has other characters.
    """
    if not _is_lock_name(name):
        raise RegistryError(
            f"lock name {name!r}: use letters, digits, '.', '_' and '-', at most 200"
        )
