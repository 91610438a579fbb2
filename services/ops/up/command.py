"""``txmesh up``: a whole mesh on this machine, for as long as the command runs."""

from __future__ import annotations

import os
import shutil
from typing import Any

import click
from twisted.internet.defer import Deferred, DeferredList, FirstError

from balancer import ConfigFile
from balancer.discovery import RegistrySettings
from clients import Mesh
from services.kit.settings import UpSettings

from ..catalogue import Catalogue
from ..code import find_code
from ..faults import FAILED, Failed, say
from ..options import config_option, json_option, open_config
from ..output import console, counted, table, write_json
from ..probe import Prober
from ..runner import on_signals, run
from ..status import look
from .channel import SOCKET, Channel
from .control import Control
from .hints import lines_to_try, sample_call
from .launch import Launcher
from .lock import Lock
from .logs import Logs
from .plan import Slot, plan
from .supervisor import NotReady, Supervisor

_TAIL_LINES = 12
# A log grows by its limit in minutes, not in seconds.
_LOG_LOOK_S = 30.0


@click.command("up", short_help="Run a mesh on this machine.")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option(
    "--replicas",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Replicas of each service; without it as [services.NAME] says, which is 2.",
)
@config_option
@json_option
def up(services: tuple[str, ...], replicas: int | None, config: str | None, as_json: bool) -> int:
    """Run services on this machine, each replica a process of its own, until ^C.

    Without SERVICE all known ones run: those that come with txmesh and those of the configuration.
    A replica that dies is started again. State, logs and the registry lie in .mesh, beside the
    configuration file or in the working directory.

    While it runs, `txmesh replace` has it build other replicas and remove these. Started again, it
    runs what the configuration says.

    ^C (or SIGTERM) lets every replica finish what it has; a second ^C ends them at once. They also
    leave by themselves when this command is killed.

    \b
    Examples:
      txmesh up
      txmesh up --replicas 3 users products
      txmesh up --config mesh.toml --json      the status as one line once all are ready

    Exits with 0 after a clean stop, with 1 when a replica never became ready or had to be killed.
    """
    file = open_config(config)
    catalogue = Catalogue(file)
    slots = plan(catalogue.services, services, replicas)
    for service in dict.fromkeys(slot.service for slot in slots):
        catalogue.contract(service)  # what cannot be imported is told now, not by a dead replica
    for slot in slots:
        find_code(file.folder, slot.code, slot.service)
    registry = file.section("registry", RegistrySettings).url
    if registry.startswith("static:"):
        raise Failed(
            f"the registry {registry!r} is written down, and the replicas of `txmesh up` take any "
            "free port; use a registry that they enter themselves, such as file:.mesh/leases"
        )
    lock = Lock(file.folder / ".mesh" / "up.lock")

    async def work(reactor: Any) -> int:
        running = _Up(reactor, file, catalogue, slots)
        return await running.run(config, as_json=as_json)

    try:
        return run(work)
    finally:
        lock.release()


class _Up:
    """One `txmesh up` from its first process to its last."""

    def __init__(
        self, reactor: Any, file: ConfigFile, catalogue: Catalogue, slots: list[Slot]
    ) -> None:
        self._reactor = reactor
        self._slots = slots
        self._mesh = Mesh(file, caller="txmesh-up", reactor=reactor)
        self._prober = Prober(reactor, self._mesh.clock)
        settings = file.section("up", UpSettings)
        state = file.folder / ".mesh"
        self._logs = logs = Logs(state / "logs", settings.log_bytes, catalogue.services)
        # Which of another run's replicas were announced concerns nobody any more.
        self._marks = state / "run"
        shutil.rmtree(self._marks, ignore_errors=True)
        launcher = Launcher(reactor, file.path, file.folder, catalogue.has_own)
        self._supervisor = Supervisor(
            slots,
            clock=self._mesh.clock,
            settings=settings,
            launch=lambda slot, ended: launcher.start(slot, logs.begin(slot.replica), ended),
            endpoints=self._mesh.registry.endpoints,
            state=self._prober.state,
            tell=say,
            processors=len(os.sched_getaffinity(0)),
        )
        self._control = Control(
            self._supervisor,
            services=catalogue.services,
            folder=file.folder,
            marks=self._marks,
            logs=logs,
            tell=say,
        )
        self._socket = state / SOCKET
        self._channel: Channel | None = None
        self._told_to_stop: Deferred[None] = Deferred()

    async def run(self, config: str | None, *, as_json: bool) -> int:
        on_signals(self._reactor, self._signalled)
        say(f"starting {counted(len(self._slots), 'replica')}; the logs are in {self._logs.folder}")
        starting = self._supervisor.start()
        try:
            # Whichever comes first; the other is left behind.
            await DeferredList([starting, self._told_to_stop], True, True, consumeErrors=True)
        except FirstError as error:
            error.subFailure.trap(NotReady)
            self._tell_not_ready(error.subFailure.value)
            await self._supervisor.stop()
            return FAILED
        was_ready = starting.called
        if was_ready:
            self._limit_logs()
            self._open_channel()
            await self._show(config, as_json=as_json)
            await self._told_to_stop
        clean = await self._supervisor.stop()
        if self._channel is not None:
            await self._channel.close()
        self._mesh.close()
        if not was_ready:
            say("stopped before all replicas were ready")
            return FAILED
        if not clean:
            say("stopped; some replicas had to be killed before they had finished")
            return FAILED
        say("stopped; every replica has left in good order")
        return 0

    def _signalled(self) -> None:
        if self._told_to_stop.called:
            self._supervisor.stop()
            self._supervisor.kill()
            return
        say("stopping: replicas finish what they have; once more to end them at once")
        self._told_to_stop.callback(None)

    def _tell_not_ready(self, error: Any) -> None:
        log = self._logs.of(error.slot.replica)
        say(f"{error}; the end of {log.path}:")
        for line in log.tail(_TAIL_LINES):
            click.echo(f"    {line}", err=True)

    async def _show(self, config: str | None, *, as_json: bool) -> None:
        if as_json:
            write_json(await look(self._mesh.registry, self._prober, self._mesh.view))
            return
        ours = {slot.replica for slot in self._slots}
        endpoints = sorted(
            (e for e in await self._mesh.registry.endpoints() if e.replica in ours),
            key=lambda endpoint: (endpoint.service, endpoint.replica),
        )
        running = table("service", "replica", "address", "admin", "pid", numbers=("pid",))
        for endpoint in endpoints:
            running.add_row(
                endpoint.service,
                endpoint.replica,
                endpoint.address,
                endpoint.admin,
                str(endpoint.pid),
            )
        sample = await sample_call(self._mesh, [slot.service for slot in self._slots])
        screen = console()
        screen.print(running)
        screen.print("\nTry, in another terminal:")
        for line in lines_to_try(endpoints, sample, config):
            screen.print(f"  {line}", soft_wrap=True)
        screen.print("\nStop with ^C.")

    def _limit_logs(self) -> None:
        self._mesh.clock.callLater(_LOG_LOOK_S, self._limit_logs)
        for trouble in self._logs.limit():
            say(trouble)

    def _open_channel(self) -> None:
        try:
            self._channel = Channel(
                self._reactor, self._mesh.clock, self._socket, self._control.answer
            )
        except (OSError, Failed) as error:
            say(f"nobody can have replicas built or removed here: {error}")
