"""The two-line stubs under ``twisted/plugins``.

``twistd`` loads every plugin module at every start, so nothing heavy is imported here: the service
itself is loaded only when its subcommand is the one that was asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from twisted.application.service import IService, IServiceMaker
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IServiceMaker, IPlugin)
class _Subcommand:
    """``twistd mesh-NAME`` for one service package."""

    def __init__(self, package: str) -> None:
        name = package.rpartition(".")[2].replace("_", "-")
        self._package = package
        self.tapname = f"mesh-{name}"
        self.description = f"A replica of the {name} service."

    def options(self) -> Any:
        """The options of a replica; twistd calls this as if it were their class."""
        return import_module("services.kit.replica").Options(self._package)

    def makeService(self, options: Any) -> IService:
        """Build the replica that the options describe."""
        replica: IService = import_module("services.kit.replica").make_replica(options)
        return replica


def service_plugin(package: str) -> _Subcommand:
    """Make the ``twistd`` subcommand of a service.

    Args:
        package: what to import it from; it must have an attribute ``service``. The subcommand is
            called ``mesh-`` and the package's last name.
    """
    return _Subcommand(package)
