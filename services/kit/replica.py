"""A replica: one process's life from its command line to its last answer.

It starts in the order in which each thing needs the one before: state, ports, registry. It leaves
in the opposite order, and with patience: first the registry, so that callers go elsewhere; then,
when they have had time to notice, the port; then what still runs; then the state.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.application import service as twisted_service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from balancer import ConfigError, Endpoint, MeshError, MonotonicClock
from balancer.discovery import Lease
from clients import Mesh
from clients.contract import openapi

from .admin import admin_site
from .apipage import add_api_pages
from .logs import JsonLog, TextLog
from .metrics import Exposition, ReplicaCollector
from .options import Options, announced, every_interface
from .runtime import Kit
from .server import Server, ServerSettings, Site
from .service import Service
from .settings import StorageSettings
from .storage import storage_folder

_log = Logger()


class Replica(twisted_service.Service):
    """See the module."""

    def __init__(self, service: Service[Any], options: Options, reactor: Any) -> None:
        """Take what to serve and how.

        Args:
            service: the contract with its handlers.
            options: parsed.
            reactor: where it all runs.
        """
        self._service = service
        self._options = options
        self._reactor = reactor
        self._clock = MonotonicClock(reactor)
        self._settings = options.file.section("server", ServerSettings)
        self.endpoint_name = options["name"] or f"{service.contract.service}-{os.getpid()}"
        self._mesh = Mesh(options.file, caller=self.endpoint_name, reactor=reactor)
        self._starting: Deferred[None] | None = None
        self._opened: AbstractAsyncContextManager[Any] | None = None
        self._server: Server | None = None
        self._admin: Server | None = None
        self._lease: Lease | None = None
        self._endpoint: Endpoint | None = None
        self._standby = Path(options["standby"]) if options["standby"] else None
        self._state = "starting"
        self._failed = False

    def setServiceParent(self, parent: Any) -> None:
        """Give the application our log before twistd starts its own."""
        if hasattr(parent, "setComponent"):
            if self._options["log"] == "json":
                log: Any = JsonLog(sys.stdout, replica=self.endpoint_name)
            else:
                log = TextLog(sys.stdout)
            parent.setComponent(ILogObserver, log)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start as soon as the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._run)

    def _run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            # Twisted's own handler would end the process by the signal; a replica that has left in
            # good order ends with 0.
            signal.signal(number, lambda *_: self._reactor.callFromThread(self.leave))
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
        contract = self._service.contract
        storage = self._options.file.section("storage", StorageSettings)
        kit = Kit(
            clock=self._clock,
            wall=_wall,
            rng=random.Random(),  # noqa: S311 - for jitter
            mesh=self._mesh,
            storage_folder=self._options.file.folder / storage_folder(storage.url),
            sample_data=storage.sample_data,
            log=Logger(namespace=contract.service),
        )
        state = None
        if self._service.opens is not None:
            opened = self._service.opens(kit)
            state = await opened.__aenter__()
            self._opened = opened
        if self._state != "starting":
            return  # it was told to leave meanwhile
        site = Site()
        for call, route in self._service.routes(state):
            site.add(call.method, call.path, route)
        add_api_pages(site, openapi(contract, self._options["release"]))
        self._server = self._make_server(site)
        exposition = Exposition(ReplicaCollector(self._server, self._mesh))
        self._admin = self._make_server(
            admin_site(
                exposition,
                self._mesh.decisions(),
                state=lambda: self._state,
                announce=self.announce,
                drain=self.leave,
            )
        )
        options = self._options
        admin = self._admin.listen(self._reactor, *options["admin"])
        address = announced(
            self._server.listen(self._reactor, *options["listen"]), options["advertise"]
        )
        if every_interface(options["admin"][0]):
            # One that listens on loopback or a network of its own is reached there and only there.
            admin = announced(admin, options["advertise"])
        endpoint = Endpoint(
            service=contract.service,
            replica=self.endpoint_name,
            address=address,
            admin=admin,
            pid=os.getpid(),
            version=self._options["release"],
            zone=self._options["zone"],
            weight=self._options["weight"],
            started=_wall().timestamp(),
            standby=self._standby is not None and not self._standby.exists(),
        )
        self._endpoint = endpoint
        self._lease = self._mesh.registry.announce(endpoint)
        self._state = "standby" if endpoint.standby else "ready"
        _log.info(
            "{replica} serves {service} on http://{address}, admin on http://{admin}",
            replica=endpoint.replica,
            service=endpoint.service,
            address=address,
            admin=admin,
        )

    def _make_server(self, site: Site) -> Server:
        return Server(site, self._settings, clock=self._clock, wall=_wall)

    def _cannot_start(self, failure: Any) -> None:
        if self._state == "draining" and failure.check(CancelledError):
            return  # it was told to leave meanwhile
        if failure.check(MeshError, CannotListenError):
            _log.critical("cannot start: {why}", why=failure.getErrorMessage())
        else:
            _log.failure("cannot start", failure)
        self._failed = True
        self.leave()

    def announce(self) -> None:
        """Take calls from now on, after having stood by; harmless when it does so already."""
        if self._state == "standby":
            assert self._lease is not None
            assert self._endpoint is not None
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
            self._endpoint = replace(self._endpoint, standby=False)
            self._lease.change(self._endpoint)
            self._state = "ready"
            _log.info("{replica} is announced", replica=self.endpoint_name)

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
        settings = self._settings
        began = self._clock.seconds()
        if self._starting is not None:
            # A start that waits for something, such as another replica's migration, gives up; what
            # it has opened by then is left below, or by its own hand.
            self._starting.cancel()
            await self._starting
        if self._lease is not None:
            self._lease.withdraw()
            _log.info("{replica} left the registry and drains", replica=self.endpoint_name)
            assert self._server is not None
            drained = self._server.drain(settings.drain_s)
            notice_s = min(settings.drain_notice_s, settings.drain_s)
            await deferLater(self._reactor, notice_s, lambda: None)
            self._server.close_port()
            await drained
        if self._admin is not None:
            self._admin.close_port()
            await self._admin.drain(0.0)
        if self._opened is not None:
            try:
                await self._opened.__aexit__(None, None, None)
            except Exception:  # noqa: BLE001 - the process must end all the same
                _log.failure("the service's state could not be closed in good order")
                self._failed = True
        self._mesh.close()
        if self._failed:
            # Only the process's exit status tells a supervisor; twistd has no other way to set it.
            self._reactor.addSystemEventTrigger("after", "shutdown", _exit_failed)
        _log.info(
            "{replica} has left after {seconds:.1f} s",
            replica=self.endpoint_name,
            seconds=self._clock.seconds() - began,
        )


def _wall() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the edge where a replica's wall clock comes from


def _exit_failed() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def make_replica(options: Options) -> Replica:
    """Build the replica that a ``twistd`` command line describes.

    Raises:
        usage.UsageError: the package has no service, or the configuration cannot be used.
    """
    from twisted.internet import reactor  # noqa: PLC0415, TID251 - the edge that says which

    module = import_module(options.package)
    service = getattr(module, "service", None)
    if not isinstance(service, Service):
        raise usage.UsageError(f"{options.package} has no attribute `service` that is a Service")
    try:
        return Replica(service, options, reactor)
    except ConfigError as error:
        raise usage.UsageError(str(error)) from None


__all__ = ["Options", "Replica", "make_replica"]
