"""The work of a replica, done by workers; see `services.kit.replica.Work`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger
from twisted.python import usage

from balancer import Clock, ConfigError
from balancer.discovery import RegistrySettings

from ..listening import begin_listening
from ..metrics import Exposition, process_collector
from ..options import Options
from .crew import Crew, NotStarted
from .decisions import check, joined
from .launch import Launcher
from .member import Member, State
from .messages import Reopen, Told, Wanted
from .scoreboard import Scoreboard
from .settings import WorkersSettings
from .totals import Totals, families_of

# How long workers have to answer (seconds). What a scrape misses then is as it last was; a decision
# log may be large, and somebody waits who wants all of it.
_ANSWER_S: dict[Wanted, float] = {"samples": 1.0, "decisions": 5.0}

_log = Logger()


class Workers:
    """See the module."""

    def __init__(self, options: Options, *, name: str, reactor: Any, clock: Clock) -> None:
        """Begin with none.

        Args:
            options: parsed; they say how many.
            name: the replica's.
            reactor: spawns.
            clock: monotonic.
        """
        self._options = options
        self._name = name
        self._reactor = reactor
        self._clock = clock
        self._totals = Totals()
        self._crew: Crew | None = None
        self._listening: socket.socket | None = None
        self._was_well = False
        self._tell: Callable[[], None] = lambda: None

    def _settings(self) -> WorkersSettings:
        return self._options.file.section("workers", WorkersSettings)

    async def start(self, listening: socket.socket) -> None:
        """Start them, and wait until all could serve.

        Args:
            listening: bound; where they will accept.

        Raises:
            ConfigError: one of them cannot start.
        """
        self._listening = listening
        launcher = Launcher(self._reactor, self._options, self._name, listening, Scoreboard())
        self._crew = Crew(
            self._options["workers"],
            self._settings(),
            clock=self._clock,
            launch=launcher,
            on_end=lambda member: self._totals.retire(member.families),
            on_change=self._changed,
        )
        try:
            await self._crew.start()
        except NotStarted as error:
            raise ConfigError(str(error)) from None

    def serve(self, *, contend: bool) -> None:
        """Have them accept calls from now on.

        Args:
            contend: whether to take scheduled work that one process does for all.
        """
        assert self._crew is not None
        assert self._listening is not None
        begin_listening(self._listening)
        self._crew.serve(contend=contend)

    def contend(self) -> None:
        """Have them take scheduled work as well."""
        assert self._crew is not None
        self._crew.contend()

    def is_well(self) -> bool:
        """Whether any of them serves."""
        return self._crew is not None and any(member.serves for member in self._crew)

    def on_change(self, function: Callable[[], None]) -> None:
        """Have a function called when it begins or ends to be well."""
        self._tell = function

    def _changed(self) -> None:
        if self.is_well() != self._was_well:
            self._was_well = not self._was_well
            self._tell()

    def reload(self) -> Deferred[bool]:
        """Replace all by new ones, with the configuration and the code that lie there now.

        Returns:
            Fires when it is done or given up: whether there are new ones.
        """
        if self._crew is None:
            return succeed(False)
        before = self._options.file.section("registry", RegistrySettings)
        try:
            self._options.read_file()
        except usage.UsageError as error:
            _log.error("the reload failed, and the workers stay as they are: {why}", why=str(error))
            return succeed(False)
        if self._options.file.section("registry", RegistrySettings) != before:
            _log.warn("[registry] has changed: where it is announced changes with a restart")
        _log.info("new workers are started, to replace the old ones")
        return self._crew.reload(self._settings())

    def reopen(self) -> None:
        """Have them open their log files anew."""
        if self._crew is not None:
            self._crew.tell(Reopen())

    def metrics(self) -> Deferred[bytes]:
        """What Prometheus scrapes: the sums of all, those that died included."""
        return self._ask("samples").addCallback(lambda _: Exposition(self).text())

    def decisions(self) -> Deferred[bytes]:
        """Why their calls went where they went, as JSON lines."""
        return self._ask("decisions").addCallback(
            lambda told: joined(each.decisions for each in told if _is_log(each.decisions))
        )

    def collect(self) -> Iterable[Metric]:
        """All metrics, as the workers last told them; see `services.kit.metrics`."""
        own = families_of([process_collector()], of_master=True)
        crew = self._crew
        members: list[Member] = list(crew) if crew is not None else []
        yield from self._totals.metrics([own, *(member.families for member in members)])
        states = GaugeMetricFamily("mesh_workers", "Worker processes.", labels=["state"])
        for state in State:
            states.add_metric([state.value], sum(member.state is state for member in members))
        yield states
        yield CounterMetricFamily(
            "mesh_worker_restarts",
            "Workers that died and were replaced.",
            crew.restarts if crew is not None else 0,
        )

    def _ask(self, what: Wanted) -> Deferred[list[Told]]:
        """Ask all; fires with the answers of those that are in time."""
        answers: list[Told] = []

        def take(told: Told | None) -> None:
            if told is not None:
                answers.append(told)

        asked = [member.ask(what) for member in self._crew or ()]
        waiting = [answer.addCallback(take) for answer in asked if answer is not None]
        result: Deferred[list[Told]] = Deferred()
        patience = self._clock.callLater(_ANSWER_S[what], lambda: result.callback(list(answers)))

        def all_told(_: object) -> None:
            if patience.active():
                patience.cancel()
                result.callback(answers)

        DeferredList(waiting).addCallback(all_told)
        return result

    async def leave(self, wait_s: float) -> bool:
        """Have all finish what runs and leave.

        Args:
            wait_s: when to cut what is left, in seconds.

        Returns:
            Whether all did so in good order.
        """
        if self._listening is not None:
            # They have it too, for as long as callers may still come.
            self._listening.close()
        if self._crew is None:
            return True
        return await self._crew.leave(wait_s)


def _is_log(text: str) -> bool:
    try:
        check(text)
    except ValueError as error:
        # It keeps nobody from reading the others'.
        _log.warn(
            "a worker's decision log is not understood and left out ({error}): "
            "restart the whole replica",
            error=str(error),
        )
        return False
    return True
