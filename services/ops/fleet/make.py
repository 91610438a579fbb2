"""From what is wanted to the replacement that does it, with whatever runs the replicas."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from balancer import ConfigFile
from balancer.discovery import RegistrySettings
from clients import Mesh
from clients.contract import Contract

from .attended import Task
from .claim import Claim
from .direct import DirectReplicas
from .drivers import make_driver
from .journal import JournalFile
from .plan.view import Wanted
from .replacement import Replacement
from .rest import Rest
from .telling.events import Event
from .telling.narrator import Narrator
from .telling.telling import Telling

# Beyond the time to live of a lock (seconds), for it to be seen that its holder is dead.
_LOCK_SLACK_S = 3.0


class Begun(NamedTuple):
    """A replacement that is ready to run.

    Attributes:
        task: does it.
        telling: tells of it.
        tail: the last lines of a replica's log.
        kept: where it is kept when it ends unfinished, for people.
    """

    task: Task
    telling: Narrator
    tail: Callable[[str], Deferred[list[str]]]
    kept: str


def claim(wanted: Wanted, file: ConfigFile, mesh: Mesh, rest: Rest, telling: Narrator) -> Claim:
    """The lock of one replacement a service at a time."""
    return Claim(
        wanted.service,
        registry=mesh.registry,
        holder=_holder(wanted),
        lock_s=file.section("registry", RegistrySettings).ttl_s + _LOCK_SLACK_S,
        clock=mesh.clock,
        rest=rest,
        waits=telling.waits,
        notices=telling.notices,
    )


def _holder(wanted: Wanted) -> str:
    """Who this is, for people on other machines who find the lock taken."""
    what = f" (for version {wanted.version})" if wanted.version else ""
    return f"{socket.gethostname()}, process {os.getpid()}{what}"


@contextmanager
def replacing(
    wanted: Wanted,
    file: ConfigFile,
    mesh: Mesh,
    contract: type[Contract],
    show: Callable[[Event], None],
    reactor: Any,
) -> Iterator[Begun]:
    """Replace replica by replica: whatever runs them builds and removes single ones.

    Raises:
        DriverError: it cannot be used.
    """
    driver = make_driver(wanted.driver, file, reactor=reactor, clock=mesh.clock)
    try:
        telling = Telling(mesh.clock, wanted.bake_s, show)
        rest = Rest(mesh.clock)
        journal = JournalFile(file.folder / ".mesh", wanted.service)
        replacement = Replacement(
            wanted,
            registry=mesh.registry,
            driver=driver,
            replicas=DirectReplicas(contract, reactor=reactor, clock=mesh.clock),
            journal=journal,
            progress=telling,
            claim=claim(wanted, file, mesh, rest, telling),
            rest=rest,
            clock=mesh.clock,
        )
        yield Begun(replacement, telling, driver.tail, str(journal.path))
    finally:
        driver.close()


@contextmanager
def rolling(
    wanted: Wanted,
    file: ConfigFile,
    mesh: Mesh,
    contract: type[Contract],
    show: Callable[[Event], None],
    reactor: Any,
) -> Iterator[Begun]:
    """Replace a Deployment, whose pods the cluster replaces.

    Raises:
        DriverError: it cannot be used, or not with what is wanted.
    """
    from .kubernetes import Rolling, RollingTelling, make_order, open_cluster  # noqa: PLC0415

    order = make_order(wanted)
    cluster = open_cluster(file, reactor=reactor, clock=mesh.clock)
    telling = RollingTelling(mesh.clock, wanted.bake_s, show)
    rest = Rest(mesh.clock)
    task = Rolling(
        wanted.service,
        order,
        cluster=cluster,
        contract=contract,
        claim=claim(wanted, file, mesh, rest, telling),
        progress=telling,
        rest=rest,
        clock=mesh.clock,
    )
    yield Begun(task, telling, task.tail, f"in the annotations of Deployment {wanted.service}")
