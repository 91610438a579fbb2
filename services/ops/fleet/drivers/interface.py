"""What replacement asks of whatever runs replicas: processes, units, pods or machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as TookTooLong

from balancer import Clock

Answer = TypeVar("Answer")


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One replica that is to be built.

    Attributes:
        service: the service's name.
        replica: its own name, such as "users-2.k3f-1"; unique for ever.
        version: what it announces as its version.
        code: the folder to run the service from: one with an environment of its own (``.venv``)
            runs in that, another stands first on the module path; "" for what runs now.
        image: the container or machine image, for drivers that have such; "" for the driver's own.
    """

    service: str
    replica: str
    version: str
    code: str = ""
    image: str = ""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One replica that a driver knows of.

    Attributes:
        replica: its own name.
        service: the service's.
        version: as it was built; "" when the driver does not know.
        state: "running" also while it starts; "ended" when its process, unit or machine is there
            no more but its remains are; "failed" when it could not be built.
        why: what went wrong, for people; "" otherwise.
    """

    replica: str
    service: str
    version: str = ""
    state: Literal["running", "ended", "failed"] = "running"
    why: str = ""


class Driver(Protocol):
    """Builds and removes replicas. It knows nothing of health: that is asked of the replicas.

    A replica is built on standby (``--standby``): it serves, appears in the registry, and takes no
    calls before it is announced. Every method may be repeated with the same arguments after an
    interruption, and fails with `DriverError` when it cannot do what it is asked now.

    Attributes:
        name: such as "local".
    """

    name: str

    def built(self, service: str) -> Deferred[list[Built]]:
        """All replicas of a service that this driver runs."""

    def build(self, build: Build) -> Deferred[None]:
        """Begin to build one; harmless when it is there already."""

    def retire(self, replica: str) -> Deferred[None]:
        """Have a replica not started again when it ends, because it is about to be told to."""

    def remove(self, replica: str) -> Deferred[None]:
        """End what is left of a replica and clear it away; harmless when there is nothing left."""

    def tail(self, replica: str) -> Deferred[list[str]]:
        """The last lines of a replica's log, oldest first, as far as they can be had."""

    def close(self) -> None:
        """Give up what connects to the driver's engine."""


class DriverError(Exception):
    """A driver could not do what it was asked; the message says what happened and what to do."""


async def ask(
    driver: Driver, within_s: float, clock: Clock, method: Callable[..., Deferred[Answer]], *of: Any
) -> Answer:
    """Ask a driver; its silence, and what its machine refuses, are told as the driver's own error.

    Args:
        driver: who is asked.
        within_s: how long it may take, in seconds.
        clock: monotonic.
        method: of the driver.
        of: its arguments.

    Raises:
        DriverError: it could not, it did not answer, or the machine let it down.
    """
    reactor: Any = clock
    try:
        return await maybeDeferred(method, *of).addTimeout(within_s, reactor)
    except TookTooLong:
        why = f"did not answer within {within_s:g} s"
    except OSError as error:
        why = f"failed: {error}"
    raise DriverError(f"the driver {driver.name} {why}") from None
