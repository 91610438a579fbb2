"""The laboratory in the place of recorded replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from ...policy import BalancingSettings
from ...telemetry import CallEntry
from ...values import Request
from ..scenario import Setup
from ..servers import Server
from ..trial import Trial
from ..world import SERVICE
from .outcomes import Outcome, Outcomes
from .record import Record
from .work import Replayed


class Stage:
    """One replay.

    Attributes:
        trial: the run and its calls.
        servers: by the address of the replica that each stands for.
    """

    def __init__(
        self,
        record: Record,
        outcomes: Mapping[str, Sequence[Outcome]],
        capacity: float,
        balancing: BalancingSettings,
        seed: int,
    ) -> None:
        """Set it up.

        Args:
            record: what is replayed.
            outcomes: by address; those of a replica that has none are taken from all.
            capacity: see `curve`.
            balancing: who picks.
            seed: of everything random.
        """
        self.trial = trial = Trial(
            Setup(
                scenario="replay",
                balancing=balancing,
                seed=seed,
                replicas=len(outcomes),
                clients=1,
                load=1.0,
                calls=0,
            )
        )
        self.servers: dict[str, Server] = {}
        world = trial.world
        every = [outcome for ends in outcomes.values() for outcome in ends]
        for address, ends in outcomes.items():
            drawn = Outcomes(ends or every, world.stream(f"outcomes of {address}").random)
            work = Replayed(world.scheduler, drawn, capacity)
            self.servers[address] = work.server = world.add(work, lambda: 0.0)
        for address, reported in _reported(record).items():
            # Other callers stay as they were, on the average.
            self.servers[address].meter.in_flight = reported
        self._come_and_go(record)
        arrivals = list(_arrivals(record))
        coming = (call for _, call in arrivals)
        world.feed(
            (world.began + instant for instant, _ in arrivals), lambda: self._call(next(coming))
        )

    def _call(self, call: CallEntry) -> None:
        request = Request(SERVICE, b"GET", b"/v1/thing", key=call.key or None)
        self.trial.calls.call(
            self.trial.world.clients[0], request, call.deadline_s, retryable=call.retryable
        )

    def _come_and_go(self, record: Record) -> None:
        """Have each replica announced from the first decision that shows it to the last."""
        world = self.trial.world
        first, last = _sightings(record)
        begin, end = min(first.values()), max(last.values())
        for address, server in self.servers.items():
            if first.get(address, begin) > begin:
                world.withdraw(server)
                world.after(first[address], world.enter, server)
            if last.get(address, end) < end:
                world.after(last[address], world.withdraw, server)
        world.announce()


def _sightings(record: Record) -> tuple[dict[str, float], dict[str, float]]:
    """When the first and the last decision was made that shows a replica, by address.

    Decisions show only some replicas of a large fleet: of such a one all are always there.
    """
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for attempt in record.attempts():
        shown = attempt.candidates
        if len(shown) < attempt.known:
            shown = []
        for candidate in shown:
            first.setdefault(candidate.address, attempt.at_s)
            last[candidate.address] = attempt.at_s
    return first, last


def _reported(record: Record) -> dict[str, int]:
    """Requests of other callers in each replica, by address: the mean of what was reported."""
    sums: dict[str, list[float]] = {}
    for attempt in record.attempts():
        for candidate in attempt.candidates:
            if candidate.heard_s is not None:
                sums.setdefault(candidate.address, []).append(candidate.others)
    return {address: round(fmean(values)) for address, values in sums.items()}


def _arrivals(record: Record) -> Iterator[tuple[float, CallEntry]]:
    """Every call that was made: those that were not recorded stand evenly before the next one."""
    calls = record.calls
    every = record.every
    usual_s = (calls[-1].at_s - calls[0].at_s) / max(1, len(calls) - 1)
    for place, call in enumerate(calls):
        after = calls[place + 1].at_s if place + 1 < len(calls) else call.at_s + usual_s
        for number in range(every):
            yield call.at_s + number * (after - call.at_s) / every, call
