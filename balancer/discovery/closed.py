"""What a registry says that was closed, whichever it is."""

from __future__ import annotations

from ..errors import RegistryError


def was_closed(url: str) -> RegistryError:
    """The error of who wants something of a registry after its `close`.

    Args:
        url: the registry's, for people.
    """
    return RegistryError(f"the registry {url} was closed; open it again to use it")
