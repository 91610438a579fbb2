"""A service in one process: its state, its port, its scheduled work, its own calls.

It is what a replica without workers is made of, and what each worker is. It starts in the order in
which each thing needs the one before, and leaves in the opposite order, with patience.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger

from balancer import Clock
from clients import Mesh
from clients.contract import openapi

from .apipage import add_api_pages
from .heap import freeze_heap
from .listening import begin_listening
from .metrics import Exposition, ReplicaCollector, process_collector
from .options import Options
from .runtime import Kit
from .schedule import JobCollector, Schedule
from .server import Peers, Server, ServerSettings, Site
from .service import Service
from .settings import StorageSettings
from .stalls import Stalls
from .storage import storage_folder

_log = Logger()


def wall() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the edge where a replica's wall clock comes from


class Application:
    """See the module; `services.kit.replica.Work` is what a replica sees of it."""

    def __init__(
        self,
        service: Service[Any],
        options: Options,
        *,
        name: str,
        reactor: Any,
        clock: Clock,
        mesh: Mesh,
    ) -> None:
        """Begin with nothing open.

        Args:
            service: the contract with its handlers.
            options: parsed.
            name: the replica's.
            reactor: where it all runs.
            clock: monotonic.
            mesh: for its own calls; closed by whoever made it.
        """
        self._service = service
        self._options = options
        self._name = name
        self._reactor = reactor
        self._clock = clock
        self._mesh = mesh
        self._settings = options.file.section("server", ServerSettings)
        self._opened: AbstractAsyncContextManager[Any] | None = None
        self._server: Server | None = None
        self._schedule: Schedule | None = None
        self._listening: socket.socket | None = None
        self._stalls = Stalls(clock)

    async def start(self, listening: socket.socket) -> None:
        """Open the service's state; after this it could serve.

        Args:
            listening: where it will.
        """
        self._listening = listening
        contract = self._service.contract
        storage = self._options.file.section("storage", StorageSettings)
        kit = Kit(
            clock=self._clock,
            wall=wall,
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
        site = Site()
        for call, route in self._service.routes(state):
            site.add(call.method, call.path, route)
        add_api_pages(site, openapi(contract, self._options["release"]))
        self._server = Server(
            site, self._settings, clock=self._clock, wall=wall, service=contract.service
        )
        self._schedule = Schedule(
            contract.service,
            [*self._service.jobs, *kit.jobs],
            state,
            registry=self._mesh.registry,
            # Workers of one replica share its name, and contend all the same.
            holder=f"{self._name}.{os.getpid()}",
            clock=self._clock,
            wall=wall,
            rng=kit.rng,
            log=kit.log,
        )
        freeze_heap()
        self._stalls.start()

    def serve(self, *, contend: bool, peers: Peers | None = None) -> None:
        """Accept calls from now on.

        Args:
            contend: whether to take scheduled work that one process does for all.
            peers: the other processes that accept on the same socket; None when there are none.
        """
        assert self._server is not None
        assert self._schedule is not None
        assert self._listening is not None
        if peers is None:
            begin_listening(self._listening)
        self._server.serve(self._reactor, self._listening, peers)
        self._listening.close()
        self._schedule.start()
        if contend:
            self._schedule.contend()

    def contend(self) -> None:
        """Take scheduled work as well, now that the replica no longer stands by."""
        assert self._schedule is not None
        self._schedule.contend()

    def collectors(self) -> Sequence[Collector]:
        """What its counters are read with; before it could serve, the process's own."""
        own = process_collector()
        if self._server is None or self._schedule is None:
            return (own,)
        replica = ReplicaCollector(self._server, self._mesh)
        return replica, JobCollector(self._schedule.stats), self._stalls, own

    def metrics(self) -> Deferred[bytes]:
        """What Prometheus scrapes."""
        return succeed(Exposition(*self.collectors()).text())

    def decided(self) -> bytes:
        """Why its own calls went where they went, as JSON lines."""
        file = BytesIO()
        self._mesh.decisions().write(file)
        return file.getvalue()

    def decisions(self) -> Deferred[bytes]:
        """The same, as a replica asks for it."""
        return succeed(self.decided())

    def reload(self) -> Deferred[bool]:
        """Take new configuration and code: one process alone cannot, without a gap."""
        _log.warn(
            "SIGHUP changes nothing: a replica without --workers takes new configuration and code "
            "by a restart"
        )
        return succeed(False)

    def reopen(self) -> None:
        """Open other processes' log files anew: there are none."""

    def is_well(self) -> bool:
        """Whether calls are answered; that somebody asks shows that the reactor turns."""
        return True

    def on_change(self, function: Callable[[], None]) -> None:
        """Have a function called when it begins or ends to be well: never."""

    def balance(self) -> None:
        """Give connections to peers that have fewer, if there are any."""
        if self._server is not None:
            self._server.balance()

    async def leave(
        self, wait_s: float, idle_s: float | None = None, *, leaving: bool = True
    ) -> bool:
        """Finish what runs, then close everything.

        Args:
            wait_s: when to cut what is left, in seconds.
            idle_s: when to close connections that are not used, in seconds; None: soon.
            leaving: whether the whole replica leaves, so that callers are to go elsewhere.

        Returns:
            Whether all could be closed in good order.
        """
        if self._listening is not None and self._server is not None and self._server.listens:
            await self._drain(wait_s, idle_s, leaving=leaving)
        elif self._listening is not None:
            self._listening.close()
        self._stalls.stop()
        opened, self._opened = self._opened, None
        if opened is not None:
            try:
                await opened.__aexit__(None, None, None)
            except Exception:  # noqa: BLE001 - the process must end all the same
                _log.failure("the service's state could not be closed in good order")
                return False
        return True

    async def _drain(self, wait_s: float, idle_s: float | None, *, leaving: bool) -> None:
        assert self._server is not None
        assert self._schedule is not None
        began = self._clock.seconds()
        work_s = min(wait_s, self._settings.drain_s)
        # Another process takes the jobs over; what this one does for itself goes on as long as it
        # answers requests.
        withdrawn = self._schedule.withdraw(work_s)
        drained = self._server.drain(wait_s, idle_s=idle_s, leaving=leaving)
        if leaving:
            notice_s = min(self._settings.drain_notice_s, wait_s)
            await deferLater(self._reactor, notice_s, lambda: None)
        self._server.close_port()
        await drained
        await withdrawn
        await self._schedule.stop(max(0.0, began + work_s - self._clock.seconds()))

    def hurry(self, wait_s: float, idle_s: float | None, *, leaving: bool) -> None:
        """Take less time for the leaving that is under way; see `leave`."""
        if self._server is not None and self._server.listens:
            self._server.drain(wait_s, idle_s=idle_s, leaving=leaving)
