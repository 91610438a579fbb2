"""What callers import: `Mesh`, and in a module each the contracts of the services."""

from .packages import check_package

check_package("balancer")

from .mesh import ClientSettings, Mesh  # noqa: E402 - only once the check has passed

__all__ = ["ClientSettings", "Mesh", "check_package"]
