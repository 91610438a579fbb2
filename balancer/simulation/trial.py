"""One run of a scenario whose calls go through dispatchers: what all of them have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import msgspec
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider

from ..dispatch import DispatchSettings
from ..policy import EjectionSettings
from ..policy.pick.make import signal_name
from .calls import Calls
from .result import Latencies, Result
from .scenario import Setup
from .world import World

# For tables that are about picks, retries or hedges alone.
NEVER_EJECTED = EjectionSettings(
    failures=1_000_000_000,
    connect_failures=1_000_000_000,
    outlier_share=inf,
    slow_ratio=inf,
    silence_s=inf,
)


class Trial:
    """A world and the record of its calls.

    Attributes:
        setup: what was asked for.
        world: in virtual time.
        calls: the record.
    """

    def __init__(
        self, setup: Setup, *, warmup_s: float = 0.0, settings: DispatchSettings | None = None
    ) -> None:
        """Begin.

        Args:
            setup: what is asked for.
            warmup_s: calls that begin within it are not measured.
            settings: how calls are tried, but for the balancing; None for the defaults.
        """
        self.setup = setup
        self.settings = msgspec.structs.replace(
            settings or DispatchSettings(), balancing=setup.balancing
        )
        self.world = world = World(setup.seed, self.settings, setup.clients)
        self.calls = Calls(world.scheduler, world.began + warmup_s)
        self._before = (0, 0, 0)
        if warmup_s:
            world.after(warmup_s, self._end_warmup)

    def run(self) -> None:
        """Let everything happen, to the end of the last call.

        Raises:
            BaseException: whatever went wrong in the laboratory itself, or in what it tries out.
                The production code logs its own faults and goes on, and whatever figures came
                after one would be wrong.
        """
        mistakes: list[Failure] = []
        scheduler = self.world.scheduler

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            failure = event.get("log_failure")
            if failure is not None:
                mistakes.append(failure)
                scheduler.stop()

        globalLogPublisher.addObserver(observe)
        try:
            scheduler.run()
        finally:
            globalLogPublisher.removeObserver(observe)
        if mistakes:
            mistakes[0].raiseException()
        assert self.calls.ended == self.calls.made, "a call has no end"

    def result(
        self,
        details: Mapping[str, float] | None = None,
        series: Mapping[str, Sequence[float]] | None = None,
    ) -> Result:
        """What it came to.

        Args:
            details: figures of this scenario alone.
            series: values by name, one for each second since the beginning.
        """
        setup = self.setup
        calls = self.calls
        latencies = Latencies(calls.latencies_s)
        made, attempts, probes = (
            now - before for now, before in zip(self._counts(), self._before, strict=True)
        )
        return Result(
            scenario=setup.scenario,
            policy=setup.balancing.policy,
            signal=signal_name(setup.balancing),
            seed=setup.seed,
            replicas=setup.replicas,
            clients=setup.clients,
            load=setup.load,
            calls=len(calls.latencies_s),
            failed=calls.failed,
            mean_s=latencies.mean_s,
            p50_s=latencies.percentile(0.5),
            p99_s=latencies.percentile(0.99),
            p999_s=latencies.percentile(0.999),
            attempts_per_call=attempts / max(1, made),
            probes_per_call=probes / max(1, made),
            details=details or {},
            series=series or {},
        )

    def _end_warmup(self) -> None:
        self._before = self._counts()

    def _counts(self) -> tuple[int, int, int]:
        world = self.world
        return self.calls.made, world.attempts(), world.probes()
