"""What every service gets: server, routing from its contract, health, metrics, logs, storage.

A service needs `Service`, and where it has state or errors of its own `Kit`, `Context` and
`Problem`; scheduled work is given a `Run`.
"""

from .packages import check_clients

check_clients()

from clients import check_package  # noqa: E402 - only once the check has passed

check_package("balancer")

from .context import Context  # noqa: E402 - only once the check has passed
from .problem import Problem  # noqa: E402
from .runtime import Kit  # noqa: E402
from .schedule import Run  # noqa: E402
from .service import Service  # noqa: E402

__all__ = ["Context", "Kit", "Problem", "Run", "Service"]
