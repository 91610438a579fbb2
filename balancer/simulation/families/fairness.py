"""Is the load even: among many replicas, after one comes back, through deploys?

Only `Fleet` is looked at, with no servers behind it. In the first two parts picks are never given
back, so that the counts themselves are the load: after many picks all should stand within a few of
the mean, and one that was ejected meanwhile wins whenever it is drawn, which under two choices is
2/N of the picks. In the third, calls last for a fixed number of picks while all replicas are
replaced by and by and then half of them leave: no replica should hold twice its part.

Source: the test of Finagle's own balancers ("balances evenly").
"""

from __future__ import annotations

from collections import deque

import msgspec

from ...dispatch import DispatchSettings
from ...policy import Fleet, Replica
from ...policy.pick.make import signal_name
from ...values import Endpoint, LoadReport
from ..result import Result
from ..scenario import Scenario, Setup
from ..servers import OLD_S
from ..world import SERVICE, World

# Time between picks (seconds): so little that an ejection lasts for all of them.
_STEP_S = 1e-6
# How long a call seems to take in the third part (seconds), and the time between its steps: by
# then the new ones are no longer young.
_LATENCY_S = 0.001
_STEP_PAUSE_S = 10.0
# Calls under way for each replica in the third part, and picks between the steps of the deploy.
_EACH = 10
_STEP_PICKS = 2000
_STEP_SHARE = 0.1


class _Table:
    """A fleet, and picks on it."""

    def __init__(self, setup: Setup) -> None:
        settings = msgspec.structs.replace(DispatchSettings(), balancing=setup.balancing)
        self._world = World(setup.seed, settings)
        self._numbers = 0
        self.now = self._world.began
        self.endpoints = [self.endpoint() for _ in range(setup.replicas)]
        self.announce()
        self.fleet: Fleet = self._world.clients[0].fleet(SERVICE)

    def endpoint(self) -> Endpoint:
        number = self._numbers = self._numbers + 1
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:80"
        return Endpoint(service=SERVICE, replica=f"r-{number}", address=address, pid=number)

    def announce(self) -> None:
        self._world.scheduler.run_until(self.now)
        self._world.registry.set(SERVICE, self.endpoints)

    def pick(self) -> Replica:
        self.now += _STEP_S
        replica = self.fleet.pick(self.now)
        assert replica is not None
        replica.in_flight += 1
        replica.attempts += 1
        return replica

    def replicas(self) -> list[Replica]:
        return list(self.fleet.replicas.values())


def _spread(setup: Setup) -> float:
    """How far from the mean the farthest is, after the picks."""
    table = _Table(setup)
    for _ in range(setup.calls):
        table.pick()
    mean = setup.calls / setup.replicas
    return max(abs(replica.in_flight - mean) for replica in table.replicas())


def _restored(setup: Setup) -> float:
    """What a replica gets of the picks after it is restored, in parts of the mean."""
    table = _Table(setup)
    fleet = table.fleet
    ill = table.replicas()[0]
    ill.attempts = 1
    while not ill.ejected_until:
        fleet.failed(ill, table.now, ill.attempts)
    for _ in range(setup.calls):
        table.pick()
    assert ill.in_flight == 0, "an ejected replica was picked"
    table.now = ill.ejected_until
    probed = table.pick()
    assert probed is ill, "the ejection is over, and nobody asks how it is"
    fleet.succeeded(ill, table.now, ill.attempts, _LATENCY_S)
    for _ in range(setup.calls):
        table.pick()
    return (ill.in_flight - 1) / (setup.calls / setup.replicas)


def _changing(setup: Setup) -> float:
    """The most that any replica holds at once through a deploy and a shrinking, of its part."""
    table = _Table(setup)
    count = setup.replicas
    under_way: deque[Replica] = deque()
    highest = 0.0

    def turn() -> None:
        nonlocal highest
        for _ in range(_STEP_PICKS):
            replica = table.pick()
            under_way.append(replica)
            mean = _EACH * count / len(table.endpoints)
            highest = max(highest, replica.in_flight / mean)
            if len(under_way) > _EACH * count:
                ended = under_way.popleft()
                ended.in_flight -= 1
                report = LoadReport(ended.in_flight, 1000 * _LATENCY_S, int(OLD_S))
                table.fleet.succeeded(ended, table.now, ended.attempts, _LATENCY_S, report)
        table.now += _STEP_PAUSE_S

    turn()
    step = max(1, int(count * _STEP_SHARE))
    for _ in range(0, count, step):
        table.endpoints = [*table.endpoints[step:], *(table.endpoint() for _ in range(step))]
        table.announce()
        turn()
    while len(table.endpoints) > max(1, count // 2):
        table.endpoints = table.endpoints[step:]
        table.announce()
        turn()
    return highest


def _play(setup: Setup) -> Result:
    return Result(
        scenario=setup.scenario,
        policy=setup.balancing.policy,
        signal=signal_name(setup.balancing),
        seed=setup.seed,
        replicas=setup.replicas,
        clients=1,
        load=setup.load,
        calls=setup.calls,
        failed=0,
        mean_s=0.0,
        p50_s=0.0,
        p99_s=0.0,
        p999_s=0.0,
        attempts_per_call=1.0,
        probes_per_call=0.0,
        details={
            "spread": _spread(setup),
            "restored_share": _restored(setup),
            "highest_share": _changing(setup),
        },
    )


FAIRNESS = Scenario(
    name="fairness",
    summary="how even the picks are: at rest, after a restoration, through deploys and shrinking",
    source="Finagle, the test of its own balancers",
    load="not used",
    replicas=100,
    clients=1,
    calls=100_000,
    play=_play,
)
