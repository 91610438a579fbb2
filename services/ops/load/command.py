"""``txmesh load``: calls at a constant rate, and what became of them."""

from __future__ import annotations

from math import ceil
from typing import Any, BinaryIO

import click
from twisted.internet.task import deferLater

from balancer.policy import Fleet
from balancer.telemetry import DecisionSettings
from clients import Mesh
from clients.contract import Call, CallOptions, Message
from services.kit.heap import freeze_heap

from ..arguments import read_message
from ..catalogue import Catalogue
from ..faults import FAILED, INTERRUPTED, Failed, say
from ..options import Positive, config_option, deadline_option, json_option, open_config
from ..output import console, table, write_json
from ..reports import LoadReport
from ..runner import on_signals, run
from .live import Live
from .openloop import OpenLoop
from .schedule import Schedule
from .tally import Tally, shares

# Decisions that are written at most. Calls beyond so many are thinned out evenly, so that a longer
# load is recorded from its beginning to its end: 10,000 are 20 s at 500 calls a second whole, and 7
# MB at two replicas, 20 MB at ten.
_DECISIONS = 10_000
# How long a registry that was asked may take to tell those who watch (seconds).
_FIRST_WORD_S = 3.0


@click.command("load", short_help="Make calls at a constant rate and report on them.")
@click.argument("service", required=False)
@click.argument("operation", required=False)
@click.argument("fields", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--rate", type=Positive(1e6), required=True, metavar="R", help="Calls a second.")
@click.option(
    "--duration",
    "duration_s",
    type=Positive(86_400.0),
    required=True,
    metavar="S",
    help="For how many seconds.",
)
@deadline_option
@click.option(
    "--decisions",
    "decisions",
    type=click.File("wb", lazy=False),
    metavar="FILE",
    help="Write there which replicas the calls could have had, which they got and why: JSON lines, "
    "for `txmesh simulate --replay FILE`.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show nothing while it runs.")
@config_option
@json_option
def load(
    service: str | None,
    operation: str | None,
    fields: tuple[str, ...],
    rate: float,
    duration_s: float,
    deadline_s: float | None,
    decisions: BinaryIO | None,
    quiet: bool,
    config: str | None,
    as_json: bool,
) -> int:
    """Call OPERATION of SERVICE at a constant rate and report what became of the calls.

    Calls start when they are due, whatever the answers do, and latency counts from that instant: so
    a mesh that stalls shows it. All calls are waited for at the end. ^C ends it early and reports
    all the same; the second ^C just ends it.

    A call failed when it ended without the service's own answer; one that the service refused with
    a 4xx is rejected, which is not failed.

    \b
    Examples:
      txmesh load products fetch sku=BDAY-00007 --rate 200 --duration 10
      txmesh load products search text=sun --rate 1000 --duration 30 --json > report.json
      txmesh load users fetch id=u_... --rate 500 --duration 20 --decisions decisions.jsonl

    Exits with 0 only when nothing failed; with 130 when it was ended early.
    """
    file = open_config(config)
    declared = Catalogue(file).call(service, operation)
    message = read_message(declared, fields)
    schedule = Schedule(rate, duration_s)
    sampling = None
    if decisions is not None:
        sampling = DecisionSettings(every=ceil(schedule.total / _DECISIONS), kept=_DECISIONS)

    async def work(reactor: Any) -> int:
        mesh = Mesh(file, caller="txmesh-load", decisions=sampling, reactor=reactor)
        options = CallOptions(deadline_s=deadline_s)
        running = _Load(reactor, mesh, declared, message, options)
        on_signals(reactor, running.interrupt)
        report = await running.run(schedule, quiet=quiet)
        if decisions is not None:
            mesh.decisions().write(decisions)
        if as_json:
            write_json(report)
        else:
            show(report)
        if report.failed:
            say(f"{report.failed} of {report.calls} calls failed")
            return FAILED
        if running.interrupted:
            say(f"ended early, after {report.calls} of {schedule.total} calls")
            return INTERRUPTED
        return 0

    return run(work)


class _Load:
    """One load under way."""

    def __init__(
        self,
        reactor: Any,
        mesh: Mesh,
        call: Call[Any, Any, Any],
        message: Message,
        options: CallOptions,
    ) -> None:
        self._reactor = reactor
        self._mesh = mesh
        self._call = call
        self._message = message
        self._options = options
        self._loop: OpenLoop | None = None
        self.interrupted = False

    def interrupt(self) -> None:
        if self.interrupted:
            self._reactor.stop()
        self.interrupted = True
        if self._loop is not None:
            self._loop.end_early()

    async def _heard_of(self, fleet: Fleet) -> bool:
        """Wait for the registry's first word, if it has to be asked."""
        if not fleet.replicas:
            endpoints = await self._mesh.registry.endpoints()
            named = [each.service for each in endpoints if not each.standby]
            until = self._mesh.clock.seconds() + _FIRST_WORD_S
            while self._call.service in named and self._mesh.clock.seconds() < until:
                if fleet.replicas:
                    break
                await deferLater(self._reactor, 0.02)
        return bool(fleet.replicas)

    async def run(self, schedule: Schedule, *, quiet: bool) -> LoadReport:
        mesh = self._mesh
        service = self._call.service
        fleet = mesh.fleet(service)
        if not await self._heard_of(fleet):
            mesh.close()
            raise Failed(
                f"no replica of {service} is announced, so nothing was called; start some with "
                "`txmesh up`, or name another registry with --config"
            )
        # Records are kept here, for the fleet forgets the replicas that leave during the run.
        seen = set(fleet.replicas.values())
        tally = Tally()
        self._loop = OpenLoop(
            clock=mesh.clock,
            schedule=schedule,
            start=lambda: mesh.carry(self._call, self._message, self._options),
            tally=tally,
            each_tick=lambda: seen.update(fleet.replicas.values()),
        )
        live = None if quiet else Live(mesh.clock, tally, schedule.total)
        freeze_heap()  # a pause of our own would be told as the replicas' latency
        try:
            seconds = await self._loop.run()
        finally:
            if live is not None:
                live.stop()
        # A call's retry may have found a replica after the last tick.
        seen.update(fleet.replicas.values())
        attempts = sum(stats.attempts for stats in mesh.stats() if stats.service == service)
        mesh.close()
        by_address = shares((replica.endpoint.address, replica.attempts) for replica in seen)
        return tally.report(seconds=seconds, attempts=attempts, replicas=by_address)


def show(report: LoadReport) -> None:
    """Print a report as two tables."""
    screen = console()
    numbers = ("calls", "failed", "rejected", "attempts", "seconds", "p50", "p90", "p99", "p99.9")
    summary = table(*numbers, numbers=numbers)
    times = (report.p50_ms, report.p90_ms, report.p99_ms, report.p999_ms)
    summary.add_row(
        f"{report.calls:,}",
        f"{report.failed:,}",
        f"{report.rejected:,}",
        f"{report.attempts:,}",
        f"{report.seconds:.1f}",
        *(f"{time_ms:.1f} ms" for time_ms in times),
    )
    screen.print(summary)
    screen.print()
    by_replica = table("replica", "attempts", "share", numbers=("attempts", "share"))
    for address, attempts in report.replicas.items():
        share = attempts / report.attempts if report.attempts else 0.0
        by_replica.add_row(address, f"{attempts:,}", f"{share:.1%}")
    screen.print(by_replica)
    if report.errors:
        screen.print()
        by_kind = table("error", "calls", numbers=("calls",))
        for kind, count in report.errors.items():
            by_kind.add_row(kind, f"{count:,}")
        screen.print(by_kind)
