"""``txmesh replace``: a new version goes live, and nobody notices."""

from __future__ import annotations

import os
import re
import secrets
import socket
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred

from balancer import ConfigFile
from balancer.discovery import RegistrySettings
from clients import Mesh
from services.kit.driver_settings import FleetSettings

from ..catalogue import Catalogue, did_you_mean
from ..faults import Failed, Misused, say
from ..options import Positive, config_option, json_option, open_config
from ..output import write_json
from ..runner import on_signals, run
from .direct import DirectReplicas, smoke_calls
from .display import display
from .driver import Driver, DriverError
from .drivers import DRIVERS, make_driver
from .ended import Ended
from .events import EndedEvent
from .journal import JournalFile
from .progress import Telling
from .replacement import Replacement
from .steps import Outcome
from .view import Wanted

STATUSES = {
    Outcome.REPLACED: 0,
    Outcome.HELD: 0,
    Outcome.ABORTED: 0,
    Outcome.ROLLED_BACK: 1,
    Outcome.REFUSED: 1,
    Outcome.UNFINISHED: 3,
    Outcome.BUSY: 4,
}
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}").fullmatch
_SHARE = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)%").fullmatch
_TAIL_LINES = 12
# Beyond the time to live of a lock (seconds), for it to be seen that its holder is dead.
_LOCK_SLACK_S = 3.0


def parse_share(text: str | None) -> float | None:
    """Read a canary's share, such as "5%".

    Raises:
        Misused: it is none.
    """
    if text is None:
        return None
    found = _SHARE(text)
    share = float(found[1]) / 100 if found else 0.0
    if not 0.001 <= share < 1:
        raise Misused(f"--canary {text!r} is not a share of the calls from 0.1% to 99%, such as 5%")
    return share


@click.command("replace", short_help="Replace a service's replicas by new ones, without a loss.")
@click.argument("service", required=False)
@click.option("--version", metavar="V", help="What the new replicas announce as their version.")
@click.option(
    "--replicas",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="How many new ones; without it as many as are announced now.",
)
@click.option(
    "--code",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="PATH",
    help="The folder to run the service from; one with a .venv runs in that.",
)
@click.option("--image", metavar="I", help="The machine or container image, for drivers with such.")
@click.option(
    "--driver",
    "driver_name",
    type=click.Choice(DRIVERS),
    help="What builds them; without it as [fleet] says, which is local: a `txmesh up` beside us.",
)
@click.option(
    "--bake",
    "bake_s",
    type=click.FloatRange(0.0, 86_400.0),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long new and old take calls side by side and are compared, in seconds.",
)
@click.option(
    "--ready",
    "ready_s",
    type=Positive(86_400.0),
    default=60.0,
    show_default=True,
    metavar="S",
    help="How long the new ones may take until they answer, in seconds.",
)
@click.option(
    "--canary",
    metavar="P%",
    help="Give the new version this share of the calls first, and watch that as long as --bake.",
)
@click.option(
    "--hold",
    is_flag=True,
    help="Stop once both versions take calls (with --canary: by that share), and leave it so.",
)
@click.option("--require-traffic", is_flag=True, help="No call during the bake is a failure.")
@click.option("--abort", is_flag=True, help="Undo what an earlier command left; begin nothing.")
@config_option
@json_option
def replace(
    service: str | None,
    version: str | None,
    replicas: int | None,
    code: Path | None,
    image: str | None,
    driver_name: str | None,
    bake_s: float,
    ready_s: float,
    canary: str | None,
    hold: bool,
    require_traffic: bool,
    abort: bool,
    config: str | None,
    as_json: bool,
) -> int:
    """Replace the replicas of SERVICE by new ones of version V.

    New replicas are built beside the old ones, on standby. When all of them answer, and answer the
    contract's smoke call well, they are announced, and watched under calls beside the old ones.
    Then the old ones leave the registry, finish what they have, and are removed. A new one that
    does not get ready, fails its smoke call, dies, or does worse than the old ones has all new ones
    leave again; the old ones are never touched before that.

    What was decided is in .mesh/replace/SERVICE.json. Whatever ends this command, the same command
    run again goes on from there; another version or --abort undoes it first, unless the old ones
    have begun to leave. ^C (or SIGTERM) before that undoes it, and from then on has it finished;
    a second ^C ends the command at once.

    Two versions may run side by side for as long as you want: --hold leaves them so. The same
    command without it goes on, with another --canary P% --hold changes the share, and with --abort
    takes the new ones away.

    \b
    Examples:
      txmesh replace users --version 2
      txmesh replace users --version 2 --code ../release-2 --canary 5% --bake 60
      txmesh replace users --version 2 --hold      then, another day, without --hold
      txmesh replace users --abort
      txmesh replace users --version 2 --json | jq -c 'select(.event == "ended")'

    \b
    Exits with
      0  replaced (or held, or aborted, as was asked for)
      1  not replaced: rolled back, or refused; the old replicas are all there
      2  not understood
      3  unfinished: both may be there; run it again to go on
      4  another replacement of the service is running
    """
    file = open_config(config)
    catalogue = Catalogue(file)
    if service is None:
        raise Misused(f"which service? {did_you_mean('', catalogue.services)}")
    contract = catalogue.contract(service)
    if version is None and not abort:
        raise Misused("which version? say --version V, or --abort to undo an earlier command")
    if version is not None and not _VERSION(version):
        raise Misused(
            f"--version {version!r} becomes part of names: 1 to 40 letters, digits, dots, dashes "
            "and underscores, the first a letter or a digit"
        )
    journal = JournalFile(file.folder / ".mesh", service)
    wanted = Wanted(
        service=service,
        version=version or "",
        replicas=replicas,
        otherwise=max(1, catalogue.services[service].replicas),
        driver=_driver_name(driver_name, journal, file),
        code=str(code.resolve()) if code is not None else "",
        image=image or "",
        share=parse_share(canary),
        hold=hold,
        bake_s=bake_s,
        ready_s=ready_s,
        leave_s=leave_s(file),
        traffic=require_traffic,
        abort=abort,
        generation=secrets.token_hex(2),
    )
    if not smoke_calls(contract) and not abort:
        say(f"the contract of {service} declares no smoke call: that it is ready must do")

    async def work(reactor: Any) -> int:
        mesh = Mesh(file, caller="txmesh-replace", reactor=reactor)
        try:
            driver = make_driver(wanted.driver, file, reactor=reactor, clock=mesh.clock)
        except DriverError as error:
            raise Failed(str(error)) from None
        try:
            direct = DirectReplicas(contract, reactor=reactor, clock=mesh.clock)
            command = _Command(wanted, file, mesh, driver, direct, journal, as_json=as_json)
            return await command.run(reactor)
        finally:
            driver.close()
            mesh.close()

    return run(work)


def _driver_name(given: str | None, journal: JournalFile, file: ConfigFile) -> str:
    """The driver's name; what one has begun no other one can finish."""
    before = journal.read()
    if before is None:
        return given or file.section("fleet", FleetSettings).driver
    if given not in (None, before.driver):
        raise Misused(
            f"a replacement of {before.service} by {before.version} is under way with the driver "
            f"{before.driver}: finish or abort it with that one first"
        )
    return before.driver


def leave_s(file: ConfigFile) -> float:
    """How long a replica may take to leave: as long as it drains, and then some."""
    from services.kit.server import ServerSettings  # noqa: PLC0415 - only here

    return file.section("server", ServerSettings).drain_s + 15.0


class _Command:
    """One command under the reactor."""

    def __init__(
        self,
        wanted: Wanted,
        file: ConfigFile,
        mesh: Mesh,
        driver: Driver,
        replicas: DirectReplicas,
        journal: JournalFile,
        *,
        as_json: bool,
    ) -> None:
        self._wanted = wanted
        self._as_json = as_json
        self._driver = driver
        self._journal = journal
        self._show, self._stop_showing = (
            (write_json, lambda: None) if as_json else display(mesh.clock)
        )
        self._telling = Telling(mesh.clock, wanted.bake_s, self._show)
        self._replacement = Replacement(
            wanted,
            registry=mesh.registry,
            driver=driver,
            replicas=replicas,
            journal=journal,
            progress=self._telling,
            clock=mesh.clock,
            holder=f"txmesh replace, process {os.getpid()} on {socket.gethostname()}",
            lock_s=file.section("registry", RegistrySettings).ttl_s + _LOCK_SLACK_S,
        )
        self._asked_to_stop = False
        self._ended: Deferred[Ended] = Deferred()

    async def run(self, reactor: Any) -> int:
        on_signals(reactor, self._signalled)
        running = Deferred.fromCoroutine(self._replacement.run())
        # Whichever comes first; a replacement that is left behind has its journal.
        running.addBoth(self._end)
        try:
            ended = await self._ended
        finally:
            self._stop_showing()
        if ended.outcome is Outcome.ROLLED_BACK:
            await self._tell_log(ended.why)
        if ended.outcome is Outcome.REPLACED and self._telling.saw_no_call:
            say("no call came while the new version was watched: nothing is known of how it does")
        status = STATUSES[ended.outcome]
        if self._as_json:
            write_json(
                EndedEvent(
                    at_s=self._telling.now(),
                    outcome=ended.outcome.value,
                    why=ended.why,
                    version=self._wanted.version,
                    members=self._telling.members,
                    status=status,
                )
            )
        self._tell_end(ended)
        return status

    def _end(self, result: Any) -> None:
        if not self._ended.called:
            self._ended.callback(result)  # a failure is raised where it is awaited

    def _signalled(self) -> None:
        if self._asked_to_stop:
            if not self._ended.called:
                self._ended.callback(Ended(Outcome.UNFINISHED, "it was ended at once"))
            return
        self._asked_to_stop = True
        say(
            "stopping: it is undone, or finished if the old replicas have begun to leave; once "
            "more to end at once"
        )
        self._replacement.stop()

    async def _tell_log(self, why: str) -> None:
        """Show the end of the log of the replica that failed, if it was one."""
        for name in self._telling.members:
            if why.startswith(f"{name} "):
                try:
                    lines = await self._driver.tail(name)
                except DriverError:
                    return
                if lines:
                    say(f"the end of the log of {name}:")
                for line in lines[-_TAIL_LINES:]:
                    click.echo(f"    {line}", err=True)

    def _tell_end(self, ended: Ended) -> None:
        service, version = self._wanted.service, self._wanted.version
        count = len(self._telling.members)
        replicas = "1 replica" if count == 1 else f"{count} replicas"
        match ended.outcome:
            case Outcome.REPLACED:
                text = f"{service} is replaced: {replicas} of version {version}"
            case Outcome.HELD:
                text = f"{service} is held: {replicas} of version {version} beside the old ones"
            case Outcome.ABORTED:
                text = f"{service} is as it was"
            case Outcome.ROLLED_BACK:
                text = f"{service} is rolled back, the old replicas are all there"
            case Outcome.REFUSED:
                text = f"{service} is not replaced"
            case Outcome.UNFINISHED:
                text = f"{service} is unfinished ({self._journal.path}); run it again to go on"
            case Outcome.BUSY:
                text = f"{service} is not replaced"
        text = f"{text}: {ended.why}" if ended.why else f"{text} ({self._telling.now():.1f} s)"
        if self._as_json or STATUSES[ended.outcome]:
            say(text)
        else:
            click.echo(text)
