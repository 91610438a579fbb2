"""``txmesh replace``: a new version goes live, and nobody notices."""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path
from typing import Any, get_args

import click

from balancer import ConfigFile
from balancer.discovery import RegistrySettings
from clients import Mesh
from services.kit.driver_settings import DriverName, FleetSettings
from services.kit.server import ServerSettings

from ..catalogue import Catalogue, did_you_mean
from ..faults import Failed, Misused, say
from ..options import Positive, config_option, json_option, open_config
from ..output import write_json
from ..runner import run
from .attended import Attended
from .direct import smoke_calls
from .drivers.interface import DriverError
from .journal import JournalFile
from .make import replacing, rolling
from .plan.view import Wanted
from .telling.display import display
from .telling.showing import Showing, attempt

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}").fullmatch
_SHARE = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)%").fullmatch
# How long a replica may take to leave beyond its drain (seconds): for its state to be closed.
_LEAVE_SLACK_S = 15.0
# How long new replicas may take until they answer (seconds); a cluster first pulls an image, and
# replaces all of them in that time.
_READY_S, _ROLLED_S = 60.0, 300.0


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
    type=click.Choice(get_args(DriverName)),
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
    metavar="S",
    help="How long the new ones may take until they answer, in seconds: 60; 300 in a cluster.",
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
    ready_s: float | None,
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
      5  replaced, although it was to be aborted: the old replicas had begun to leave
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
    driver = _driver_name(driver_name, journal, file)
    wanted = Wanted(
        service=service,
        version=version or "",
        replicas=replicas,
        otherwise=max(1, catalogue.services[service].replicas),
        driver=driver,
        code=str(code.resolve()) if code is not None else "",
        image=image or "",
        share=parse_share(canary),
        hold=hold,
        bake_s=bake_s,
        ready_s=ready_s or (_ROLLED_S if driver == "kubernetes" else _READY_S),
        leave_s=file.section("server", ServerSettings).drain_s + _LEAVE_SLACK_S,
        lease_s=file.section("registry", RegistrySettings).ttl_s,
        traffic=require_traffic,
        abort=abort,
        generation=secrets.token_hex(2),
    )
    if not smoke_calls(contract) and not abort:
        smokeless = f"the contract of {service} declares no smoke call: that it is ready must do"
        attempt(lambda: say(smokeless), sys.stderr)
    begin = rolling if wanted.driver == "kubernetes" else replacing

    async def work(reactor: Any) -> int:
        mesh = Mesh(file, caller="txmesh-replace", reactor=reactor)
        shown, stop_showing = (write_json, lambda: None) if as_json else display(mesh.clock)
        show = Showing(shown, sys.stdout if as_json else sys.stderr)
        try:
            with begin(wanted, file, mesh, contract, show, reactor) as begun:
                attended = Attended(
                    service,
                    wanted.version,
                    task=begun.task,
                    telling=begun.telling,
                    stop_showing=stop_showing,
                    tail=begun.tail,
                    kept=begun.kept,
                    as_json=as_json,
                )
                return await attended.run(reactor)
        except DriverError as error:
            raise Failed(str(error)) from None
        finally:
            show.end()
            attempt(stop_showing, sys.stderr)
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
