"""All jobs of one process, from its start to its leaving."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger

from balancer import Clock, ConfigError
from balancer.discovery import Lock, Registry

from .job import Job
from .runner import Runner, Take
from .stats import JobStats


class Schedule:
    """Runs a service's jobs.

    Each process of a service has one: those of several replicas and the workers of one replica
    are contenders alike.

    Attributes:
        stats: what was counted, a job each.
    """

    def __init__(
        self,
        service: str,
        jobs: Iterable[Job],
        state: Any,
        *,
        registry: Registry,
        holder: str,
        clock: Clock,
        wall: Callable[[], datetime],
        rng: random.Random,
        log: Logger,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            service: the service's name.
            jobs: all of them, with names of their own.
            state: what their runs share.
            registry: keeps the locks.
            holder: this process's name, unlike that of any other.
            clock: timers.
            wall: now, in UTC.
            rng: for jitter.
            log: the service's.

        Raises:
            ConfigError: two jobs have one name.
        """
        self.stats: list[JobStats] = []
        self._each: list[Runner] = []
        self._one: list[Runner] = []
        for job in jobs:
            name = f"{service}.{job.name}"
            if any(other.job == name for other in self.stats):
                raise ConfigError(
                    f"two jobs are named {name}, so that one would take the other's lock; "
                    "give one of them another name="
                )
            stats = JobStats(name)
            self.stats.append(stats)
            alone = job.on == "each"
            runner = Runner(
                job,
                state,
                stats=stats,
                # What each process does for itself, not all of them do at one instant.
                timetable=job.timetable.placed(f"{name} {holder}" if alone else name),
                take=_OwnLocks().take if alone else _lock_of(registry, name, holder),
                holder=holder,
                clock=clock,
                wall=wall,
                rng=rng,
                log=log,
            )
            (self._each if alone else self._one).append(runner)

    def start(self) -> None:
        """Run what each process runs for itself."""
        for runner in self._each:
            runner.start()

    def contend(self) -> None:
        """Run in turn with the other processes what only one may run; harmless the second time."""
        for runner in self._one:
            runner.start()

    def withdraw(self, within_s: float) -> Deferred[None]:
        """Leave to the other processes what only one may run; the rest goes on.

        Args:
            within_s: how long runs that are under way have, in seconds.

        Returns:
            Fires when they have ended; see `Runner.stop`.
        """
        return _stop(self._one, within_s)

    def stop(self, within_s: float) -> Deferred[None]:
        """Begin no run any more.

        Args:
            within_s: how long runs that are under way have, in seconds.

        Returns:
            Fires when they have ended; see `Runner.stop`.
        """
        return _stop([*self._one, *self._each], within_s)


def _stop(runners: list[Runner], within_s: float) -> Deferred[None]:
    ended = gatherResults([runner.stop(within_s) for runner in runners])
    return ended.addCallback(lambda _: None)


def _lock_of(registry: Registry, name: str, holder: str) -> Take:
    return lambda: registry.lock(f"job.{name}", holder)


class _OwnLocks:
    """The lock of a job that each process runs for itself: nobody else ever wants it."""

    def __init__(self) -> None:
        self._note = ""

    def take(self) -> Deferred[Lock | None]:
        return succeed(_OwnLock(self._note, self._keep))

    def _keep(self, note: str) -> None:
        self._note = note


class _OwnLock:
    def __init__(self, note: str, keep: Callable[[str], None]) -> None:
        self.note = note
        self.lost: Deferred[None] = Deferred()
        self._keep = keep

    def release(self, note: str | None = None) -> Deferred[None]:
        if note is not None:
            self._keep(note)
        return succeed(None)
