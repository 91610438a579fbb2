"""What every call of a dispatcher uses, whichever service it calls."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..clock import Clock
from ..errors import ConfigError
from ..telemetry import DecisionLog
from ..transport import Sweep
from .settings import DispatchSettings

_NAME = re.compile(r"[\x21-\x7e]{1,100}").fullmatch


class Means:
    """See the module.

    Attributes:
        clock: monotonic.
        sweep: tells of deadlines; it uses the same clock.
        settings: how calls are tried.
        caller: this process's name in ``Mesh-Caller``.
        random: floats in [0, 1), for picks and jitter.
        decisions: keeps those of sampled calls.
    """

    __slots__ = ("caller", "clock", "decisions", "random", "settings", "sweep")

    def __init__(
        self,
        *,
        clock: Clock,
        sweep: Sweep,
        settings: DispatchSettings,
        caller: str,
        random: Callable[[], float],
        decisions: DecisionLog,
    ) -> None:
        """See the class for the arguments.

        Raises:
            ConfigError: the caller's name cannot stand in a header.
        """
        if not _NAME(caller):
            raise ConfigError(
                f"caller {caller!r}: use 1 to 100 visible ASCII characters for the caller's name"
            )
        self.clock = clock
        self.sweep = sweep
        self.settings = settings
        self.caller = caller.encode("ascii")
        self.random = random
        self.decisions = decisions
