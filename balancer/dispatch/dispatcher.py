"""Makes calls: follows each service that is called, and begins its calls."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from ..clock import Clock
from ..discovery import Watched
from ..policy import Fleet
from ..telemetry import CallStats, DecisionLog, DecisionSettings
from ..transport import Channel, Sweep
from ..values import Reply, Request
from .call import PendingCall
from .called import CalledService
from .hedged import HedgedCall
from .means import Means
from .settings import DispatchSettings

Answer = TypeVar("Answer")

# More names than this are no services that anybody runs, but names out of URLs.
_MOST_FOLLOWED = 1000


class Dispatcher:
    """Makes calls; see the module."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        registry: Watched,
        open_channel: Callable[[str], Channel],
        sweep: Sweep,
        settings: DispatchSettings,
        caller: str,
        decisions: DecisionLog | None = None,
    ) -> None:
        """Take everything that calls need.

        Args:
            clock: monotonic.
            rng: for picks and jitter.
            registry: tells of replicas; a caller has a `balancer.discovery.View` of one.
            open_channel: makes the way to an address ("host:port").
            sweep: tells of deadlines; it uses the same clock.
            settings: how calls are tried.
            caller: this process's name in ``Mesh-Caller``.
            decisions: keeps those of sampled calls; None for keeping none.
        """
        self._means = Means(
            clock=clock,
            sweep=sweep,
            settings=settings,
            caller=caller,
            random=rng.random,
            decisions=decisions
            or DecisionLog(DecisionSettings(every=0), caller=caller, clock=clock),
        )
        self._registry = registry
        self._open_channel = open_channel
        self._services: dict[str, CalledService] = {}
        self._unwatch: dict[str, Callable[[], None]] = {}

    @property
    def clock(self) -> Clock:
        """The clock of its deadlines."""
        return self._means.clock

    @property
    def decisions(self) -> DecisionLog:
        """The decisions of sampled calls."""
        return self._means.decisions

    def call(
        self,
        request: Request,
        deadline: float,
        settle: Callable[[Reply, int], Answer],
        *,
        retryable: bool,
    ) -> Deferred[Answer]:
        """Make one call.

        Args:
            request: what to ask, and of which service.
            deadline: when the caller stops waiting, in the clock's seconds.
            settle: makes the result of the final reply, good or bad, and the number of attempts;
                what it raises is the call's failure.
            retryable: whether doing it twice is harmless.

        Returns:
            What ``settle`` made of it, or a `CallError`. Cancelling it gives the call up.
        """
        service = self._services.get(request.service)
        if service is None:
            service = self._follow(request.service)
        kind = HedgedCall if request.hedge and retryable else PendingCall
        return kind(self._means, service, request, deadline, settle, retryable).begin()

    def stats(self) -> list[CallStats]:
        """What was counted, a service each."""
        return [service.stats for service in self._services.values()]

    def fleet(self, name: str) -> Fleet:
        """The replicas of a service as this process sees them."""
        service = self._services.get(name) or self._follow(name)
        return service.fleet

    def close(self) -> None:
        """Close all ways to replicas; running calls may still end."""
        for service in self._services.values():
            service.close()

    def _follow(self, name: str) -> CalledService:
        if len(self._services) >= _MOST_FOLLOWED:
            self._forget_unknown()
        service = CalledService(name, self._means, self._open_channel, self._registry.look)
        self._services[name] = service
        self._unwatch[name] = self._registry.watch(name, service.update, service.is_gone)
        return service

    def _forget_unknown(self) -> None:
        """Follow no longer what has no replica: names may come out of URLs, any number of them."""
        for name, service in list(self._services.items()):
            if not service.fleet.replicas:
                self._unwatch.pop(name)()
                del self._services[name]
