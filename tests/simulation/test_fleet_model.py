"""Replacements in thousands of interleavings of kills, hangs, a lost registry and interruptions.

The world checks every order that reaches it (see `tests.simulation.fleet_world`); here it is seen
that all ends well: whatever happened, after enough runs of the command either the old replicas serve
or the new ones do, and nothing else is left.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import pytest

from services.ops.fleet.plan.steps import Outcome
from services.ops.fleet.plan.view import Wanted
from tests.simulation.fleet_world import Run, World, wanted

# Parts of 250, so that each is quick; the slow test has others after them.
QUICK, PART = 1000, 250
EXAMPLES = int(os.environ.get("TXMESH_EXAMPLES", "6000"))
FAULTS = (
    "kill", "hang", "deaf", "all-deaf", "belied", "registry", "forgets", "driver", "lock", "stop",
    "sigkill",
)  # fmt: skip


class Interleaving:
    """One history: a first command, faults, and commands run again until one is done."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.seed = seed
        self.old = rng.choice((0, 1, 2, 2, 3))
        self.world = World(seed, old=self.old, by_hand=rng.random() < 0.2)
        if rng.random() < 0.4:
            self.world.quality = rng.choice(
                ("never-ready", "dies", "smokes-badly", "fails-calls", "cannot-be-built")
            )
        self.first = wanted(
            replicas=rng.choice((None, None, 1, 3)),
            share=rng.choice((None, None, 0.05, 0.5)),
            otherwise=2,
            hold=rng.random() < 0.2,
        )
        self.told: Counter[str] = Counter()
        self.run: Run
        self.over = False
        for _ in range(rng.randrange(6)):
            self.world.clock.callLater(rng.uniform(0.0, 12.0), self._fault, rng.choice(FAULTS))

    def _fault(self, kind: str) -> None:
        world, rng = self.world, self.rng
        if self.over:
            return
        self.told[kind] += 1
        if kind in ("kill", "hang"):
            living = [slot for slot in world.slots.values() if slot.lives]
            if living:
                getattr(world, kind)(rng.choice(living))
        elif kind in ("deaf", "all-deaf", "belied"):
            slots = [slot for slot in world.slots.values() if slot.lives]
            hit = slots if kind == "all-deaf" else rng.sample(slots, min(1, len(slots)))
            for_s = rng.uniform(0.5, 14.0)
            for slot in hit:
                if kind == "belied":
                    slot.belied = True
                    world.clock.callLater(for_s, setattr, slot, "belied", False)
                else:
                    slot.deaf = True
                    world.clock.callLater(for_s, world.hears, slot)
        elif kind == "registry":
            world.registry_up = False
            if world.lock is not None and rng.random() < 0.5:
                self._lose_lock()
            world.clock.callLater(rng.uniform(0.5, 8.0), self._back, "registry_up", True)
        elif kind == "forgets":
            world.registry_forgets = True
            world.clock.callLater(rng.uniform(0.1, 3.0), self._back, "registry_forgets", False)
        elif kind == "driver":
            world.driver_up = False
            world.clock.callLater(rng.uniform(0.5, 8.0), self._back, "driver_up", True)
        elif kind == "lock":
            self._lose_lock()
        elif kind == "stop" and self.run.alive:
            self.run.replacement.stop()
        elif kind == "sigkill":
            self.run.kill()

    def _back(self, what: str, value: bool) -> None:
        setattr(self.world, what, value)

    def _lose_lock(self) -> None:
        lock = self.world.lock
        if lock is not None:
            self.world.lock = None
            if self.run.alive and self.run.lock_of_run is lock:
                lock.lost.callback(None)

    def _again(self) -> Wanted:
        """The next command line: mostly the same."""
        other = self.rng.random()
        if other < 0.15:
            return wanted(abort=True, generation="")
        if other < 0.3:
            # Another version, and this one works.
            self.world.quality = "good"
            return wanted(version="3", generation=f"n{self.rng.randrange(10**6)}")
        return wanted(
            replicas=self.first.replicas,
            share=self.first.share,
            otherwise=2,
            generation=f"g{self.rng.randrange(10**6)}",
        )

    def play(self) -> Counter[str]:
        """Let it all happen.

        Returns:
            What did, for the report.
        """
        world, rng, asked = self.world, self.rng, self.first
        outcome: Outcome | None = None
        for attempt in range(12):
            if attempt and rng.random() < 0.3:
                self._fault("forgets")
            self.run = world.run(asked)
            end = world.clock.seconds() + 400.0
            while self.run.alive and self.run.ended is None and self.run.failure is None:
                assert world.clock.seconds() < end, f"no end: {self.run.waited[-3:]}"
                world.step()
            if self.run.failure is not None:
                self.run.failure.raiseException()
            outcome = self.run.ended.outcome if self.run.ended is not None else None
            self.told[outcome.value if outcome is not None else "killed"] += 1
            ended = outcome in (Outcome.REPLACED, Outcome.ROLLED_BACK, Outcome.ABORTED)
            if ended and world.journal is None:
                break
            if attempt >= 2:
                world.calm(start=True)
                world.pass_time(3.0)
            asked = self._again()
        self.over = True
        world.calm(start=outcome is not Outcome.REPLACED)
        world.pass_time(12.0)
        self._check_end(asked)
        return self.told

    def _check_end(self, asked: Wanted) -> None:
        world = self.world
        assert world.journal is None
        names = world.living()
        old = [f"users-{number}" for number in range(1, self.old + 1)]
        if names == old:
            assert not set(old) & set(world.drained)
        else:
            generations = {name.rpartition("-")[0] for name in names}
            assert len(generations) == 1, names
            assert not set(names) & set(old), names
        assert world.taking() == len(names)


def play(seeds: range) -> Counter[str]:
    total: Counter[str] = Counter()
    for seed in seeds:
        try:
            total += Interleaving(seed).play()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return total


@pytest.mark.parametrize("part", range(QUICK // PART))
def test_no_interleaving_loses_a_replica_that_is_needed(part: int) -> None:
    total = play(range(part * PART, (part + 1) * PART))
    # All that can happen has.
    for kind in (*FAULTS, "replaced", "held", "rolled-back", "aborted", "killed"):
        assert total[kind] > 0, kind


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nor_does_any_of_many_more() -> None:
    print(dict(sorted(play(range(QUICK, QUICK + EXAMPLES)).items())))


def test_an_undisturbed_replacement_never_has_fewer_than_it_began_with() -> None:
    for seed in range(20):
        world = World(seed, old=2)
        run: Any = world.run(wanted())
        least = 2
        while run.ended is None:
            world.step()
            least = min(least, world.taking())
        assert run.ended.outcome is Outcome.REPLACED
        assert least == 2
        assert world.living() == ["users-2.k3f-1", "users-2.k3f-2"]
