"""``txmesh status``: which replicas there are, and how each is."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text
from twisted.internet.defer import gatherResults

from balancer import RegistryError
from balancer.discovery import Registry, View
from clients import Mesh

from .catalogue import Catalogue
from .faults import FAILED, say
from .options import config_option, json_option, open_config
from .output import console, table, write_json
from .probe import DRAINING, READY, STANDBY, STARTING, Prober
from .reports import RegistryReport, ReplicaReport, StatusReport
from .runner import run, wall

_STYLES = {READY: "green", STANDBY: "yellow", STARTING: "yellow", DRAINING: "yellow"}


@click.command("status", short_help="Show the replicas, and how each is.")
@config_option
@json_option
def status(config: str | None, as_json: bool) -> int:
    """Show every replica that is announced, and how it is by its own word.

    \b
    STATE is one of
      ready        it takes calls
      starting     none of its workers serves
      standby      it is up, and takes no calls before it is announced
      draining     it finishes what it has and takes nothing new
      silent       it accepts connections and does not answer (stopped, or far too busy)
      unreachable  nothing listens where it is announced, or something else does

    \b
    Examples:
      txmesh status
      txmesh status --json | jq -r '.replicas[] | select(.state != "ready") | .replica'

    While the registry is lost it shows the replicas that callers on this machine knew last, with
    how each is now, and says how old that is.

    Exits with 1 when no replica is announced, and when the registry could not be asked.
    """
    file = open_config(config)

    async def work(reactor: Any) -> int:
        mesh = Mesh(file, caller="txmesh-status", reactor=reactor)
        for service in Catalogue(file).services:
            # The DNS can be asked for a service only by its name.
            mesh.registry.watch(service, lambda _: None)
        report = await look(mesh.registry, Prober(reactor, mesh.clock), mesh.view)
        if as_json:
            write_json(report)
        elif report.replicas:
            show(report)
        mesh.close()
        if not report.registry.answered:
            return FAILED
        if not report.replicas:
            say(
                f"no replica is announced in {report.registry.url}; start some with "
                "`txmesh up`, or name another registry with --config"
            )
            return FAILED
        return 0

    return run(work)


async def look(registry: Registry, prober: Prober, view: View | None = None) -> StatusReport:
    """Ask all announced replicas at once.

    Args:
        registry: the open registry.
        prober: asks.
        view: whose memory stands in for a registry that is lost, which is said then; None for
            none.

    Raises:
        RegistryError: the registry does not answer, and there is no view.
    """
    answered = True
    age_s: float | None
    try:
        endpoints = await registry.endpoints()
        age_s = registry.age_s()
    except RegistryError as error:
        if view is None:
            raise
        answered = False
        endpoints, old_s = view.remembered()
        age_s = old_s if endpoints else None
        known = (
            f"shown is what was known {age(old_s)} ago" if endpoints else "nothing is remembered"
        )
        say(f"{error}; {known}")
    endpoints = sorted(endpoints, key=lambda e: (e.service, e.replica))
    states = await gatherResults([prober.state(endpoint) for endpoint in endpoints])
    now = wall()
    return StatusReport(
        registry=RegistryReport(
            url=registry.url,
            age_s=None if age_s is None else round(age_s, 3),
            answered=answered,
        ),
        replicas=[
            ReplicaReport(
                service=endpoint.service,
                replica=endpoint.replica,
                address=endpoint.address,
                admin=endpoint.admin,
                pid=endpoint.pid,
                version=endpoint.version,
                state=state,
                weight=endpoint.weight,
                age_s=round(max(0.0, now - endpoint.started), 3) if endpoint.started else None,
            )
            for endpoint, state in zip(endpoints, states, strict=True)
        ],
    )


def show(report: StatusReport) -> None:
    """Print a report as a table; a column of weights only where one is not 1."""
    weighted = any(replica.weight != 1 for replica in report.replicas)
    weight = ["weight"] if weighted else []
    made = table(
        "service", "replica", "address", "admin", "pid", "version", "state", *weight, "age",
        numbers=("pid", "weight", "age"),
    )  # fmt: skip
    for replica in report.replicas:
        made.add_row(
            replica.service,
            replica.replica,
            replica.address,
            replica.admin or "-",
            str(replica.pid or "-"),
            replica.version or "-",
            Text(replica.state, style=_STYLES.get(replica.state, "red")),
            *([f"{replica.weight:g}"] if weighted else []),
            age(replica.age_s),
        )
    console().print(made)


def age(seconds: float | None) -> str:
    """A time span as people say it: "12 s", "5 min", "3 h", "9 d"; "-" when it is not known."""
    if seconds is None:
        return "-"
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
