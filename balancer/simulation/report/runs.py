"""Which runs there are: a scenario under one contender, with one seed after the other."""

from __future__ import annotations

from ..scenario import Options
from .cell import Cell
from .contenders import Contender, standard

# Where chance decides, one run says little: three say how much it decides.
SEEDS = (1, 2, 3)


def runs(
    scenario: str,
    contender: Contender | None = None,
    seeds: tuple[int, ...] = SEEDS,
    load: float | None = None,
    choices: int | None = None,
    replicas: int | None = None,
    clients: int | None = None,
    calls: int | None = None,
) -> tuple[Cell, ...]:
    """The runs of a scenario that differ in nothing but their seed.

    Args:
        scenario: its name.
        contender: who picks; None for the default.
        seeds: one run each.
        load: see `Options`; likewise the rest.
        choices: see there.
        replicas: see there.
        clients: see there.
        calls: see there.
    """
    chosen = contender or standard()
    return tuple(
        Cell(
            scenario,
            Options(
                policy=chosen.policy,
                signal=chosen.signal or None,
                choices=choices,
                seed=seed,
                replicas=replicas,
                clients=clients,
                load=load,
                calls=calls,
            ),
        )
        for seed in seeds
    )
