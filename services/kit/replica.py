"""A replica: one entry in the registry, from its command line to its last answer.

It starts in the order in which each thing needs the one before: ports, state, registry. It leaves
in the opposite order, and with patience: first the registry, so that callers go elsewhere; then,
when they have had time to notice, the port; then what still runs; then the state.

What answers the calls is its work: this process alone, or several workers that it keeps.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace
from twisted.application import service as twisted_service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from balancer import ConfigError, Endpoint, MeshError, MonotonicClock
from balancer.discovery import Lease
from clients import Mesh

from .admin import admin_site
from .application import Application, wall
from .listening import Passed, Place, address_of, begin_listening, bind, every_interface
from .logs import Log
from .options import Options, announced
from .process import fail_at_exit, on_signal, outlive_signals
from .server import Server, ServerSettings
from .service import Service
from .systemd import Systemd, take_environment
from .workers.master import Workers
from .workers.worker import Worker, telling_why

_log = Logger()


class Work(Protocol):
    """What answers a replica's calls: `Application` alone, or `Workers`."""

    async def start(self, listening: socket.socket) -> None:
        """Get ready to accept on a socket, which is bound."""

    def serve(self, *, contend: bool) -> None:
        """Accept from now on, and take scheduled work or not yet."""

    def contend(self) -> None:
        """Take scheduled work as well."""

    def metrics(self) -> Deferred[bytes]:
        """All counters in Prometheus's form."""

    def decisions(self) -> Deferred[bytes]:
        """Why own calls went where they went, as JSON lines."""

    def is_well(self) -> bool:
        """Whether calls are answered."""

    def on_change(self, function: Callable[[], None]) -> None:
        """Have a function called when that changes."""

    def reload(self) -> Deferred[bool]:
        """Take new configuration and code; fires at the end with whether it did."""

    def reopen(self) -> None:
        """Open log files of other processes anew."""

    async def leave(self, wait_s: float) -> bool:
        """Finish what runs and close everything; whether that went well."""


class Replica(twisted_service.Service):
    """See the module."""

    def __init__(
        self, service: Service[Any], options: Options, log: Log, reactor: Any, systemd: Systemd
    ) -> None:
        """Take what to serve and how.

        Args:
            service: the contract with its handlers.
            options: parsed.
            log: where to write.
            reactor: where it all runs.
            systemd: the manager that started the process.
        """
        self._service = service.contract.service
        self._options = options
        self._log = log
        self._reactor = reactor
        self._systemd = systemd
        self._clock = MonotonicClock(reactor)
        self._settings = options.file.section("server", ServerSettings)
        self.endpoint_name = options["name"] or f"{self._service}-{os.getpid()}"
        self._mesh = Mesh(options.file, caller=self.endpoint_name, reactor=reactor)
        self._work = self._make_work(service)
        self._work.on_change(self._work_changed)
        self._starting: Deferred[None] | None = None
        self._admin: Server | None = None
        self._lease: Lease | None = None
        self._endpoint: Endpoint | None = None
        self._standby = Path(options["standby"]) if options["standby"] else None
        self._state = "starting"
        self._failed = False

    def _make_work(self, service: Service[Any]) -> Work:
        name, options, reactor, clock = (
            self.endpoint_name,
            self._options,
            self._reactor,
            self._clock,
        )
        if options["workers"]:
            return Workers(options, name=name, reactor=reactor, clock=clock)
        return Application(
            service, options, name=name, reactor=reactor, clock=clock, mesh=self._mesh
        )

    def setServiceParent(self, parent: Any) -> None:
        """Give the application our log before twistd starts its own."""
        if hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, self._log.observer(replica=self.endpoint_name))
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start as soon as the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._run)

    def _run(self) -> None:
        reactor = self._reactor
        on_signal(reactor, signal.SIGTERM, self.leave)
        on_signal(reactor, signal.SIGINT, self.leave)
        on_signal(reactor, signal.SIGHUP, self.reload)
        on_signal(reactor, signal.SIGUSR1, self._reopen)
        if self._options["until-eof"]:
            self._watch_input()
        self._starting = ensureDeferred(self._start()).addErrback(self._cannot_start)

    def _watch_input(self) -> None:
        from twisted.internet import stdio  # noqa: PLC0415 - it imports the reactor
        from twisted.internet.protocol import Protocol  # noqa: PLC0415

        replica = self

        class Input(Protocol):
            def connectionLost(self, reason: Any = None) -> None:
                replica.leave()

        stdio.StandardIO(Input(), reactor=self._reactor)

    async def _start(self) -> None:
        options = self._options
        listening = self._open("listen")
        admin = self._open("admin")
        address = announced(address_of(listening), options["advertise"])
        admin_address = address_of(admin)
        if every_interface(admin.getsockname()[0]):
            # One that listens on loopback or a network of its own is reached there and only there.
            admin_address = announced(admin_address, options["advertise"])
        await self._work.start(listening)
        if self._state != "starting":
            return  # it was told to leave meanwhile
        self._serve_admin(admin)
        standby = self._standby is not None and not self._standby.exists()
        self._endpoint = endpoint = Endpoint(
            service=self._service,
            replica=self.endpoint_name,
            address=address,
            admin=admin_address,
            pid=os.getpid(),
            version=options["release"],
            zone=options["zone"],
            weight=options["weight"],
            started=wall().timestamp(),
            standby=standby,
        )
        if not standby:
            self._standby = None
        self._work.serve(contend=not standby)
        self._lease = self._mesh.registry.announce(endpoint)
        self._state = "standby" if standby else "ready"
        self._tell_systemd()
        self._systemd.watch(self._work.is_well)
        _log.info(
            "{replica} serves {service} on http://{address}, admin on http://{admin}",
            replica=endpoint.replica,
            service=endpoint.service,
            address=address,
            admin=admin_address,
        )

    def _open(self, option: str) -> socket.socket:
        """Bind a socket, or take the one that systemd has bound."""
        place: Place | Passed = self._options[option]
        if isinstance(place, Place):
            return bind(place)
        passed = self._systemd.socket(place)
        try:
            self._options.check_announced(option, passed.getsockname()[0])
        except usage.UsageError as error:
            raise ConfigError(str(error)) from None
        return passed

    def _serve_admin(self, listening: socket.socket) -> None:
        site = admin_site(
            replica=self.endpoint_name,
            metrics=self._work.metrics,
            decisions=self._work.decisions,
            state=lambda: self._state,
            announce=self.announce,
            drain=self.leave,
        )
        self._admin = Server(site, self._settings, clock=self._clock, wall=wall)
        begin_listening(listening)
        self._admin.serve(self._reactor, listening)
        listening.close()

    def _cannot_start(self, failure: Any) -> None:
        if self._state == "draining" and failure.check(CancelledError):
            return  # it was told to leave meanwhile
        if failure.check(MeshError, CannotListenError):
            _log.critical("cannot start: {why}", why=failure.getErrorMessage())
        else:
            _log.failure("cannot start", failure)
        self._failed = True
        self.leave()

    def announce(self, weight: float | None = None) -> None:
        """Take calls from now on, after having stood by; harmless when it does so already.

        Args:
            weight: the share beside others, also of one that takes calls already; None leaves it.
        """
        if weight is not None and self._endpoint is not None:
            self._endpoint = replace(self._endpoint, weight=weight)
        if self._state == "ready" and weight is not None:
            self._change("ready")
        elif self._state == "standby":
            assert self._standby is not None
            try:
                # A supervisor starts it with the same command line when it has died.
                self._standby.parent.mkdir(parents=True, exist_ok=True)
                self._standby.touch()
            except OSError as error:
                _log.warn(
                    "{path} cannot be written ({why}): after a restart {replica} stands by again",
                    path=str(self._standby),
                    why=error.strerror,
                    replica=self.endpoint_name,
                )
            self._standby = None
            self._change("ready")
            self._work.contend()
            _log.info("{replica} is announced", replica=self.endpoint_name)

    def _work_changed(self) -> None:
        """Callers are to stay away while there is no worker, and come back."""
        if self._lease is None or self._state == "draining":
            return
        if not self._work.is_well():
            _log.error("no worker serves: {replica} takes no calls", replica=self.endpoint_name)
            self._change("starting")
        elif self._state == "starting":
            self._change("standby" if self._standby is not None else "ready")

    def _change(self, state: str) -> None:
        """Go over to another state, and have callers know."""
        assert self._lease is not None
        assert self._endpoint is not None
        self._state = state
        self._endpoint = replace(self._endpoint, standby=state != "ready")
        self._lease.change(self._endpoint)
        self._tell_systemd()

    def _tell_systemd(self) -> None:
        assert self._endpoint is not None
        self._systemd.ready(
            f"{self._state}: {self.endpoint_name} serves {self._service} on "
            f"{self._endpoint.address}, admin on {self._endpoint.admin}"
        )

    def reload(self) -> None:
        """Take new configuration and code without a gap, where there are workers."""
        if self._lease is None or self._state == "draining":
            # While it starts, it is about to have what lies there now.
            return
        self._systemd.reloading()
        self._work.reload().addCallback(self._reloaded)

    def _reloaded(self, _: bool) -> None:
        if self._state != "draining":
            self._tell_systemd()

    def _reopen(self) -> None:
        self._log.reopen()
        self._work.reopen()

    def leave(self) -> None:
        """Leave in good order and end the process; harmless the second time."""
        if self._state != "draining":
            self._state = "draining"
            self._reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Leave the registry, finish what runs, close everything.

        Returns:
            Fires when the process may end.
        """
        super().stopService()
        self._state = "draining"
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        began = self._clock.seconds()
        self._systemd.stopping()
        if self._starting is not None:
            # A start that waits for something, such as another replica's migration, gives up; what
            # it has opened by then is left below, or by its own hand.
            self._starting.cancel()
            await self._starting
        if self._lease is not None:
            self._lease.withdraw()
            _log.info("{replica} left the registry and drains", replica=self.endpoint_name)
        settings = self._options.file.section("server", ServerSettings)
        if not await self._work.leave(settings.drain_s):
            self._failed = True
        if self._admin is not None:
            self._admin.close_port()
            await self._admin.drain(0.0)
        self._systemd.close()
        self._mesh.close()
        if self._failed:
            # Only the process's exit status tells a supervisor.
            fail_at_exit(self._reactor)
        _log.info(
            "{replica} has left after {seconds:.1f} s",
            replica=self.endpoint_name,
            seconds=self._clock.seconds() - began,
        )


def make_replica(options: Options) -> Replica | Worker:
    """Build the replica that a ``twistd`` command line describes, or a worker of one.

    Raises:
        usage.UsageError: the package has no service, or the configuration cannot be used.
    """
    from twisted.internet import reactor  # noqa: PLC0415, TID251 - the edge that says which

    outlive_signals()
    try:
        log = Log(options["log"], options["log-file"])
    except OSError as error:
        raise usage.UsageError(
            f"--log-file {options['log-file']}: cannot be written ({error.strerror})"
        ) from None
    if options["worker"] is not None:
        with telling_why():
            return Worker(_service_in(options.package), options, log, reactor)
    service = _service_in(options.package)
    try:
        systemd = Systemd(take_environment(os.environ), MonotonicClock(reactor))
        return Replica(service, options, log, reactor, systemd)
    except ConfigError as error:
        raise usage.UsageError(str(error)) from None


def _service_in(package: str) -> Service[Any]:
    service = getattr(import_module(package), "service", None)
    if not isinstance(service, Service):
        raise usage.UsageError(f"{package} has no attribute `service` that is a Service")
    return service


__all__ = ["Options", "Replica", "make_replica"]
