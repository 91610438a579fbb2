"""The laboratory: production code in virtual time against published tables and failures.

::

    run("slow-server", Options(policy="round-robin"))

Fleets, ejection, budgets and the call loop are the ones that run on sockets; clock, servers,
arrivals and registry are simulated. Nothing but the seed is random, so the same options give the
same `Result`, byte for byte.
"""

from __future__ import annotations

from ..errors import ConfigError
from .families import ALL
from .result import Result
from .scenario import Options, Scenario

__all__ = ["Options", "Result", "Scenario", "run", "scenarios"]


def scenarios() -> tuple[Scenario, ...]:
    """All scenarios, in the order of the report."""
    return ALL


def run(name: str, options: Options | None = None) -> Result:
    """Run one scenario.

    Args:
        name: the scenario's.
        options: what departs from its defaults.

    Raises:
        ConfigError: there is no such scenario.
    """
    for scenario in ALL:
        if scenario.name == name:
            return scenario.run(options or Options())
    known = ", ".join(scenario.name for scenario in ALL)
    raise ConfigError(f"there is no scenario {name!r}; there are: {known}")
