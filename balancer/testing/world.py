"""A whole world in virtual time: seeded, exact, and as fast as its events allow."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ..discovery import Memory, View, Watched
from ..dispatch import Dispatcher, DispatchSettings
from ..errors import CallError, ServiceFailed
from ..policy import Fleet
from ..telemetry import DecisionLog, DecisionSettings
from ..transport import Sweep
from ..values import Endpoint, Reply, Request, split_address
from .registry import FakeRegistry
from .replica import FakeChannel, FakeReplica


def plain(reply: Reply, _attempts: int) -> Reply:
    """The plainest ``settle``: a 5xx is `ServiceFailed`, any other reply the answer."""
    if reply.status >= 500:
        raise ServiceFailed(f"status {reply.status}", status=reply.status)
    return reply


class Outcome:
    """How a call ended, or that it has not.

    Attributes:
        reply: the final reply, or None.
        error: the error, or None; it may be a `CallError` or a cancellation.
        ended_at: when, in the clock's seconds; None while the call runs.
        deferred: the call itself, to be cancelled.
    """

    def __init__(self, world: World, deferred: Deferred[Reply]) -> None:
        """Follow a call."""
        self.reply: Reply | None = None
        self.error: BaseException | None = None
        self.ended_at: float | None = None
        self.deferred = deferred
        self._world = world
        deferred.addCallbacks(self._answered, self._failed)

    @property
    def kind(self) -> str:
        """How it stands: "running", "answered", a `CallError`'s kind, or an exception's name."""
        if self.ended_at is None:
            return "running"
        if self.error is None:
            return "answered"
        return self.error.kind if isinstance(self.error, CallError) else type(self.error).__name__

    def _answered(self, reply: Reply) -> None:
        self.reply = reply
        self._end()

    def _failed(self, failure: Failure) -> None:
        self.error = failure.value
        self._end()

    def _end(self) -> None:
        assert self.ended_at is None, "a call ended twice"
        self.ended_at = self._world.clock.seconds()
        self._world.kinds[self.kind] += 1


class World:
    """Replicas of a script, and a real dispatcher that calls them.

    Attributes:
        clock: the virtual clock; `run` moves it.
        rng: seeded; the dispatcher draws from it.
        registry: says which replicas exist.
        view: what the dispatcher goes by, if that is not the registry's bare word; or None.
        dispatcher: the real one.
        replicas: all that were ever added, by address.
        channels: all that were ever opened.
        kinds: how calls ended, counted by `Outcome.kind`.
    """

    def __init__(
        self,
        seed: int = 0,
        settings: DispatchSettings | None = None,
        *,
        decisions: DecisionSettings | None = None,
        doubts: bool = False,
        memory: Memory | None = None,
    ) -> None:
        """Make an empty world.

        Args:
            seed: the same one gives the same history.
            settings: how calls are tried; None for the defaults.
            decisions: which are kept; None for none.
            doubts: whether a `balancer.discovery.View` stands between registry and dispatcher, as
                it does in a `clients.Mesh`.
            memory: the view's; None for none.
        """
        self.clock = Clock()
        # Not nought: an instant of 0.0 often means "never" and would hide a mistake.
        self.clock.rightNow = 1000.0
        self.rng = random.Random(seed)  # noqa: S311 - a simulation is to be repeatable
        self.registry = FakeRegistry(self.clock)
        self.view = View(self.registry, self.clock, memory) if doubts else None
        watched: Watched = self.view or self.registry
        self.replicas: dict[str, FakeReplica] = {}
        self.channels: list[FakeChannel] = []
        self.kinds: Counter[str] = Counter()
        self.dispatcher = Dispatcher(
            clock=self.clock,
            rng=self.rng,
            registry=watched,
            open_channel=self._open_channel,
            sweep=Sweep(self.clock),
            settings=settings or DispatchSettings(),
            caller="test",
            decisions=DecisionLog(
                decisions or DecisionSettings(every=0), caller="test", clock=self.clock
            ),
        )

    def add(self, service: str, count: int = 1, *, pid: int | None = None) -> list[FakeReplica]:
        """Start replicas and announce them.

        Args:
            service: its name.
            count: how many.
            pid: their process id; None gives each its own.

        Returns:
            The new ones.
        """
        new = []
        for _ in range(count):
            number = len(self.replicas) + 1
            endpoint = Endpoint(
                service=service,
                replica=f"{service}-{number}",
                address=f"10.0.0.{number}:80",
                pid=1000 + number if pid is None else pid,
            )
            replica = self.replicas[endpoint.address] = FakeReplica(self.clock, endpoint)
            new.append(replica)
        known = [found for found in self.registry.known() if found.service == service]
        self.registry.set(service, [*known, *(replica.endpoint for replica in new)])
        return new

    def announce(self, service: str, replicas: Iterable[FakeReplica]) -> None:
        """Say that just these replicas exist."""
        self.registry.set(service, [replica.endpoint for replica in replicas])

    def call(
        self,
        service: str = "users",
        *,
        deadline_s: float = 1.0,
        retryable: bool = True,
        request: Request | None = None,
    ) -> Outcome:
        """Make a call.

        Args:
            service: whom to call.
            deadline_s: how long to wait, in seconds.
            retryable: whether doing it twice is harmless.
            request: what to ask; None for a plain GET.
        """
        request = request or Request(service, b"GET", b"/v1/thing")
        deadline = self.clock.seconds() + deadline_s
        return Outcome(self, self.dispatcher.call(request, deadline, plain, retryable=retryable))

    def load(
        self,
        rate: float,
        duration_s: float,
        service: str = "users",
        *,
        deadline_s: float = 1.0,
        retryable: bool = True,
    ) -> list[Outcome]:
        """Call at an even rate, whatever the answers do, and let the time pass.

        Args:
            rate: calls a second.
            duration_s: for how long, in seconds; the last calls may still run at the end.
            service: whom to call.
            deadline_s: of each call.
            retryable: of each call.

        Returns:
            All calls in order.
        """
        outcomes = []
        began = self.clock.seconds()
        for number in range(int(rate * duration_s)):
            self._run_until(began + number / rate)
            outcomes.append(self.call(service, deadline_s=deadline_s, retryable=retryable))
        self._run_until(began + duration_s)
        return outcomes

    def run(self, seconds: float) -> None:
        """Let time pass, from event to event, so that each sees its own instant."""
        self._run_until(self.clock.seconds() + seconds)

    def settle(self) -> None:
        """Let time pass until nothing is left to happen."""
        while calls := self.clock.getDelayedCalls():
            self._run_until(max(call.getTime() for call in calls))

    def fleet(self, service: str = "users") -> Fleet:
        """A service's replicas as the dispatcher sees them."""
        return self.dispatcher.fleet(service)

    def in_flight(self, service: str = "users") -> int:
        """Attempts that the dispatcher believes to be on their way."""
        return sum(replica.in_flight for replica in self.fleet(service).replicas.values())

    def _run_until(self, end: float) -> None:
        clock = self.clock
        while clock.calls and clock.calls[0].getTime() <= end:
            # Set, not added: a sum may fall short of the instant by a rounding error.
            clock.rightNow = max(clock.rightNow, clock.calls[0].getTime())
            clock.advance(0)
        clock.rightNow = max(clock.rightNow, end)

    def _open_channel(self, address: str) -> FakeChannel:
        split_address(address)  # a pool is as strict
        channel = FakeChannel(self.replicas[address])
        self.channels.append(channel)
        return channel
