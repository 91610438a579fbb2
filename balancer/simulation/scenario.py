"""What a scenario is, and what can be asked of one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..policy import BalancingSettings
from ..policy.balancing import PickName, SignalName
from .result import Result


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a run; None takes the scenario's own value.

    Attributes:
        policy: how to pick; None for the product's default, or for two choices (of that many) when
            ``choices`` is given.
        signal: what counts as load; None for the policy's own.
        choices: how many replicas are compared.
        seed: of everything random.
        replicas: how many.
        clients: how many call, each with a view of its own.
        load: in the scenario's own terms.
        calls: how many, in scenarios that go by number; in those that go by time it takes the
            place of their duration.
    """

    policy: PickName | None = None
    signal: SignalName | None = None
    choices: int | None = None
    seed: int = 1
    replicas: int | None = None
    clients: int | None = None
    load: float | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("choices", "replicas", "clients", "calls"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.load is not None and self.load <= 0:
            raise ValueError("load must be above 0")

    def balancing(self) -> BalancingSettings:
        """How the clients pick."""
        standard = BalancingSettings()
        policy = self.policy or ("two-choices" if self.choices is not None else standard.policy)
        return BalancingSettings(
            policy=policy,
            signal=self.signal if self.signal is not None else standard.signal,
            choices=self.choices if self.choices is not None else standard.choices,
        )


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A run with nothing left open.

    Attributes:
        scenario: its name.
        balancing: how the clients pick.
        seed: see `Options`; likewise the rest.
        replicas: see there.
        clients: see there.
        load: see there.
        calls: 0 when the scenario's own duration holds.
    """

    scenario: str
    balancing: BalancingSettings
    seed: int
    replicas: int
    clients: int
    load: float
    calls: int

    def lasting_s(self, rate: float, otherwise_s: float) -> float:
        """For how long calls come, in seconds.

        Args:
            rate: calls a second.
            otherwise_s: when no number of calls is asked for.
        """
        return self.calls / rate if self.calls else otherwise_s


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario.

    Attributes:
        name: what it is called by.
        summary: what happens, in a line.
        source: where the model and the figures come from.
        load: what ``load`` means here, in a few words.
        replicas: how many by default.
        clients: how many by default.
        default_load: see ``load``.
        calls: by default; 0 when it goes by time.
        play: runs it.
    """

    name: str
    summary: str
    source: str
    load: str
    replicas: int
    clients: int
    default_load: float = 1.0
    calls: int = 0
    play: Callable[[Setup], Result]

    def run(self, options: Options) -> Result:
        """Run it.

        Args:
            options: what departs from the defaults.
        """
        return self.play(
            Setup(
                scenario=self.name,
                balancing=options.balancing(),
                seed=options.seed,
                replicas=options.replicas or self.replicas,
                clients=options.clients or self.clients,
                load=options.load or self.default_load,
                calls=options.calls or self.calls,
            )
        )
