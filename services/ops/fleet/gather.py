"""Looks: asks the registry, the driver and the replicas themselves, and puts it together.

What one look cannot show is remembered here, for this run alone: since when a replica is ill, what
came of its smoke call. The next run finds it out anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import (
    Deferred,
    DeferredList,
    gatherResults,
)
from twisted.internet.defer import (
    TimeoutError as TookTooLong,
)

from balancer import Clock, Endpoint, RegistryError
from balancer.discovery import Registry

from ..probe import READY, STANDBY
from .bake.comparison import Comparison, Figures
from .bake.sampling import Samples
from .drivers.interface import Built, Driver, ask
from .journal import Journal
from .plan.view import Seen, View

# A registry that takes longer (seconds) than this for a list is as good as lost.
REGISTRY_S = 3.0
# An engine elsewhere may be asked for its machines for a while (seconds).
DRIVER_S = 30.0
# How often new and old are compared (seconds): their metrics are a page of text each.
SAMPLE_S = 1.0


class Replicas(Protocol):
    """Asks and tells replicas directly."""

    def state(self, endpoint: Endpoint) -> Deferred[str]:
        """Its own word; see `Prober.state`."""

    def figures(self, endpoint: Endpoint) -> Deferred[Figures]:
        """What it answered since it started; fails with a `CallError`."""

    def smoke(self, endpoint: Endpoint) -> Deferred[str]:
        """Make the smoke call; fires with what is wrong, "" for nothing."""

    def announce(self, endpoint: Endpoint, weight: float) -> Deferred[None]:
        """Have it take calls; fails with a `CallError`."""

    def drain(self, endpoint: Endpoint) -> Deferred[None]:
        """Have it leave; fails with a `CallError`."""


class Gatherer:
    """See the module.

    Attributes:
        smoked: what was wrong with each smoke call; "" for nothing.
        faults: why a replica could not be built.
        told: those that have heard that they are to leave.
    """

    def __init__(
        self,
        service: str,
        *,
        registry: Registry,
        driver: Driver,
        replicas: Replicas,
        clock: Clock,
    ) -> None:
        """Take whom to ask.

        Args:
            service: whose replicas.
            registry: who is announced.
            driver: who is built.
            replicas: how they are.
            clock: monotonic.
        """
        self._service = service
        self._registry = registry
        self._driver = driver
        self._replicas = replicas
        self._clock = clock
        self._last: tuple[Seen, ...] = ()
        self._first: dict[str, Endpoint] = {}
        self._listed: dict[str, Endpoint] = {}
        self._ill: dict[str, float] = {}
        self._absent: dict[str, float] = {}
        self._phase: tuple[object, ...] = ()
        self._since = clock.seconds()
        self._samples = Samples()
        self.smoked: dict[str, str] = {}
        self.faults: dict[str, str] = {}
        self.told: set[str] = set()

    @property
    def known(self) -> Sequence[Seen]:
        """What was seen last."""
        return self._last

    async def look(self, journal: Journal | None) -> View:
        """Take one look.

        Args:
            journal: says which replicas are the new ones, and whether they are watched.

        Raises:
            DriverError: the driver cannot say what is built.
        """
        phase = (journal.generation, journal.phase, journal.share) if journal else ()
        if phase != self._phase:
            self._phase, self._since = phase, self._clock.seconds()
        clock: Any = self._clock
        try:
            endpoints = await self._registry.endpoints().addTimeout(REGISTRY_S, clock)
        except (RegistryError, TookTooLong) as error:
            return self._stale(f"the registry {self._registry.url} does not answer", error)
        known = await ask(self._driver, DRIVER_S, self._clock, self._driver.built, self._service)
        listed = {e.replica: e for e in endpoints if e.service == self._service}
        built = {each.replica: each for each in known}
        # Those that were told to leave have left the registry, and may still finish what they have.
        leaving = {
            name: self._listed[name] for name in self.told & built.keys() & self._listed.keys()
        }
        states = await self._states(list((leaving | listed).values()))
        self._last = tuple(self._put_together(listed, states, built, journal))
        return View(
            replicas=self._last,
            since=self._since,
            comparison=await self._compared(journal),
        )

    def _stale(self, what: str, error: Exception) -> View:
        why = f"{what} ({error})" if str(error) else what
        # It may come back empty, and is then to hear of all again.
        self._absent.clear()
        return View(replicas=self._last, stale=why, since=self._since)

    async def _states(self, endpoints: Sequence[Endpoint]) -> dict[str, str]:
        states = await gatherResults([self._replicas.state(each) for each in endpoints])
        return {each.replica: state for each, state in zip(endpoints, states, strict=True)}

    def _put_together(
        self,
        listed: dict[str, Endpoint],
        states: dict[str, str],
        built: dict[str, Built],
        journal: Journal | None,
    ) -> Iterator[Seen]:
        now = self._clock.seconds()
        known = {each.replica: each for each in journal.known} if journal else {}
        self._listed |= listed
        names = (*(journal.members if journal else ()), *sorted(listed), *sorted(built))
        for name in dict.fromkeys(names):
            state = states.get(name, "")
            first = self._first.setdefault(name, listed[name]) if name in listed else None
            if state in (READY, STANDBY):
                self._ill.pop(name, None)
            else:
                self._ill.setdefault(name, now)
            if name in listed:
                self._absent.pop(name, None)
            else:
                self._absent.setdefault(name, now)
            yield Seen(
                replica=name,
                endpoint=self._listed.get(name) or known.get(name),
                listed=name in listed,
                state=state,
                built=built.get(name),
                smoked=self.smoked.get(name),
                fault=self.faults.get(name, ""),
                ill_since=self._ill.get(name),
                absent_since=self._absent.get(name),
                told=name in self.told,
                restarted=first is not None and _differ(listed[name], first),
            )

    async def _compared(self, journal: Journal | None) -> Comparison | None:
        if journal is None or journal.phase not in ("canary", "bake"):
            return None
        old = {e.replica: e.endpoint for e in self._last if e.announced and e.endpoint}
        new = {name: old.pop(name) for name in journal.members if name in old}
        subject = (journal.generation, journal.phase, journal.share)
        if not new:
            return None
        now = self._clock.seconds()
        if self._samples.due((subject, *new), now, SAMPLE_S):
            answered = await gatherResults([self._figures(new), self._figures(old)])
            weights = [sum(each.weight for each in side.values()) for side in (new, old)]
            fair = weights[0] / weights[1] if weights[1] else 1.0
            self._samples.add(now, answered[0], answered[1], fair)
        return self._samples.comparison()

    def _figures(self, endpoints: Mapping[str, Endpoint]) -> Deferred[dict[str, Figures]]:
        asked = [self._replicas.figures(endpoint) for endpoint in endpoints.values()]
        # One that does not answer is left out of the sample.
        return DeferredList(asked, consumeErrors=True).addCallback(
            lambda results: {
                name: result
                for name, (well, result) in zip(endpoints, results, strict=True)
                if well
            }
        )


def _differ(one: Endpoint, other: Endpoint) -> bool:
    """Whether two entries of one name are two processes'."""
    return (one.pid, one.started, one.address) != (other.pid, other.started, other.address)
