"""A whole world in virtual time: servers, a registry, and clients that are production code.

Each client is a `Dispatcher` as every process has one, with its own view, its own random source and
its own budget; clock, registry and servers are simulated. Everything random comes from streams
that are seeded by the world's seed and a name: so another policy, which draws other numbers, meets
the same arrivals.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from ..dispatch import Dispatcher, DispatchSettings
from ..policy import Replica
from ..telemetry import CallStats
from ..testing import FakeRegistry
from ..transport import Sweep
from ..values import Endpoint, Request
from .calls import Calls
from .scheduler import Scheduler
from .servers import OLD_S, Server, ServerChannel, Work

SERVICE = "lab"


class World:
    """See the module.

    Attributes:
        scheduler: virtual time.
        began: its first instant.
        registry: what the clients watch.
        servers: all that were ever added, by address.
        clients: those that call.
        sweep: tells of their deadlines.
    """

    def __init__(self, seed: int, settings: DispatchSettings, clients: int = 1) -> None:
        """Begin without servers.

        Args:
            seed: the same one gives the same history.
            settings: how calls are tried, by every client.
            clients: how many.
        """
        self.scheduler = Scheduler()
        self.began = self.scheduler.now
        self.registry = FakeRegistry()
        self.servers: dict[str, Server] = {}
        self._seed = seed
        self._settings = settings
        # One for all: each ticks at whole hundredths of a second, whosever entries it keeps.
        self.sweep = Sweep(self.scheduler)
        self._registry_lost = False
        self._listed: dict[str, list[Server]] = {}
        self._last_pid = 1000
        self.clients = [self.client(f"client-{number}") for number in range(clients)]

    def stream(self, name: str) -> random.Random:
        """A random source of its own for each use."""
        return random.Random(f"{self._seed}:{name}")  # noqa: S311 - simulations repeat themselves

    def client(self, name: str, settings: DispatchSettings | None = None) -> Dispatcher:
        """Make a client.

        Args:
            name: who it is.
            settings: how its calls are tried; None for the world's.
        """
        return Dispatcher(
            clock=self.scheduler,
            rng=self.stream(name),
            registry=self.registry,
            open_channel=self._open_channel,
            sweep=self.sweep,
            settings=settings or self._settings,
            caller=name,
        )

    # Servers and who knows of them.

    def add(
        self,
        work: Work,
        draw: Callable[[], float],
        service: str = SERVICE,
        *,
        age_s: float = OLD_S,
        delay_s: float = 0.0,
        limit: int = 0,
        drops_late: bool = False,
    ) -> Server:
        """Start a server; it has to be announced.

        Args:
            work: how it works off jobs.
            draw: gives the size of each job, in seconds.
            service: whose replica it is.
            age_s: for how long it has run already; at first it is not young.
            delay_s: see `Server`; likewise limit and drops_late.
            limit: see there.
            drops_late: see there.
        """
        number = len(self.servers) + 1
        endpoint = Endpoint(
            service=service,
            replica=f"{service}-{number}",
            address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:80",
            pid=self.next_pid(),
        )
        server = self.servers[endpoint.address] = Server(
            self.scheduler,
            endpoint,
            work,
            draw,
            age_s=age_s,
            delay_s=delay_s,
            limit=limit,
            drops_late=drops_late,
        )
        self._listed.setdefault(service, []).append(server)
        return server

    def next_pid(self) -> int:
        """A process id that no process had before."""
        self._last_pid += 1
        return self._last_pid

    def announce(self, service: str = SERVICE) -> None:
        """Tell all clients who is in the registry now, unless it is lost."""
        if not self._registry_lost:
            listed = self._listed.get(service, [])
            self.registry.set(service, [server.endpoint for server in listed])

    def withdraw(self, server: Server) -> None:
        """Take a server out of the registry, and tell."""
        service = server.endpoint.service
        self._listed[service].remove(server)
        self.announce(service)

    def enter(self, server: Server) -> None:
        """Put a server that was taken out, or has a new process, into the registry, and tell."""
        listed = self._listed[server.endpoint.service]
        if server not in listed:
            listed.append(server)
        self.announce(server.endpoint.service)

    def lose_registry(self) -> None:
        """From now on the registry says nothing."""
        self._registry_lost = True

    def find_registry(self) -> None:
        """The registry is back, and tells what has changed meanwhile."""
        self._registry_lost = False
        for service in self._listed:
            self.announce(service)

    # What happens.

    def after(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        """Have something happen so long after the beginning."""
        self.scheduler.at(self.began + seconds, function, *args)

    def feed(self, instants: Iterator[float], function: Callable[[], object]) -> None:
        """Have a function called at each of many instants, one entry at a time.

        Args:
            instants: rising; the next is asked for when one has come.
            function: what to call.
        """
        instant = next(instants, None)
        if instant is not None:
            self.scheduler.at(instant, self._feed, instants, function)

    def call_from_all(
        self,
        calls: Calls,
        instants: Iterator[float],
        *,
        deadline_s: float,
        service: str = SERVICE,
        retryable: bool = True,
        request: Request | None = None,
    ) -> None:
        """Have calls made at instants, each by a client drawn at random.

        Args:
            calls: records them.
            instants: when.
            deadline_s: of each.
            service: whom to call.
            retryable: of each.
            request: what is asked; None for a plain GET of the service.
        """
        clients = self.clients
        count = len(clients)
        draw = self.stream("clients").random
        asked = request or Request(service, b"GET", b"/v1/thing")

        def call() -> None:
            client = clients[int(draw() * count)] if count > 1 else clients[0]
            calls.call(client, asked, deadline_s, retryable=retryable)

        self.feed(instants, call)

    # What is seen.

    def attempts(self, service: str = SERVICE) -> int:
        """Attempts begun by all clients."""
        return sum(stats.attempts for stats in self._stats(service))

    def probes(self, service: str = SERVICE) -> int:
        """Load probes sent by all clients."""
        return sum(stats.probes for stats in self._stats(service))

    def in_flight(self, service: str = SERVICE) -> int:
        """Attempts that the clients believe to be on their way."""
        replicas: list[Replica] = []
        for client in self.clients:
            replicas += client.fleet(service).replicas.values()
        return sum(replica.in_flight for replica in replicas)

    def _stats(self, service: str) -> list[CallStats]:
        return [
            stats for client in self.clients for stats in client.stats() if stats.service == service
        ]

    def _feed(self, instants: Iterator[float], function: Callable[[], object]) -> None:
        self.feed(instants, function)
        function()

    def _open_channel(self, address: str) -> ServerChannel:
        return ServerChannel(self.scheduler, self.servers[address])
