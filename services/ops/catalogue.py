"""Which services there are: those that come with txmesh, and those that the configuration names."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from balancer import ConfigError, ConfigFile
from clients.contract import Call, Contract
from services.kit.settings import ServiceSettings

from .faults import Misused

BUILT_IN = {
    "greetings": "clients.greetings:Greetings",
    "products": "clients.products:Products",
    "users": "clients.users:Users",
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to add to "there is no such ...": the nearest name, and all that there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}known are: {', '.join(names) or 'none'}"


class Catalogue:
    """See the module.

    Attributes:
        services: the settings of every known service, by name.
    """

    def __init__(self, file: ConfigFile) -> None:
        """Read ``[services]``.

        Raises:
            ConfigError: a service that neither comes with txmesh nor names its contract.
        """
        own = file.table("services", ServiceSettings)
        for name, settings in own.items():
            if not settings.contract and name not in BUILT_IN:
                where = file.path or "the built-in configuration"
                raise ConfigError(
                    f"{where}: [services.{name}] is no service of txmesh's own, so it needs "
                    f'contract = "module:Class"; {did_you_mean(name, BUILT_IN)}'
                )
        self._folder = str(file.folder)
        self.services = {name: ServiceSettings() for name in BUILT_IN} | own

    def has_own(self, name: str) -> bool:
        """Whether a service is the user's own: its code may lie beside the configuration."""
        return bool(self.services[name].contract)

    def contract(self, name: str) -> type[Contract]:
        """Import a service's contract.

        Raises:
            Misused: there is no such service.
            ConfigError: its contract cannot be imported, or is none.
        """
        settings = self.services.get(name)
        if settings is None:
            raise Misused(f"there is no service {name!r}; {did_you_mean(name, self.services)}")
        if self.has_own(name) and self._folder not in sys.path:
            # At the end: nothing beside the configuration may stand in for an installed module.
            sys.path.append(self._folder)
        place = settings.contract or BUILT_IN[name]
        contract = _imported(name, place)
        if not (isinstance(contract, type) and issubclass(contract, Contract)):
            raise ConfigError(
                f"[services.{name}] contract {place!r} is no subclass of clients.contract.Contract"
            )
        if contract.service != name:
            raise ConfigError(
                f"[services.{name}] contract {place!r} calls itself {contract.service!r}; "
                f"write [services.{contract.service}]"
            )
        return contract

    def call(self, service: str | None, operation: str | None) -> Call[Any, Any, Any]:
        """Find an operation.

        Raises:
            Misused: none is named, or there is no such service or operation.
            ConfigError: as `contract`.
        """
        if service is None:
            raise Misused(f"which service? {did_you_mean('', self.services)}")
        calls = self.contract(service).calls
        if operation is None:
            raise Misused(f"which operation of {service}? {did_you_mean('', calls)}")
        found = calls.get(operation.replace("-", "_"))
        if found is None:
            raise Misused(
                f"{service} has no operation {operation!r}; {did_you_mean(operation, calls)}"
            )
        return found


def _imported(name: str, place: str) -> Any:
    module, separator, attribute = place.partition(":")
    if not separator or not module or not attribute:
        raise ConfigError(
            f"[services.{name}] contract {place!r} is not module:Class, such as "
            '"hello.contract:Hello"'
        )
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        hint = "; is its folder on PYTHONPATH?" if isinstance(error, ModuleNotFoundError) else ""
        raise ConfigError(
            f"[services.{name}] contract {place!r} cannot be imported "
            f"({type(error).__name__}: {error}){hint}"
        ) from error
