"""What every call of a dispatcher uses, whichever service it calls."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import Clock
from ..transport import Sweep
from .settings import DispatchSettings


class Means:
    """See the module.

    Attributes:
        clock: monotonic.
        sweep: tells of deadlines; it uses the same clock.
        settings: how calls are tried.
        caller: this process's name in ``Mesh-Caller``.
        random: floats in [0, 1), for picks and jitter.
    """

    __slots__ = ("caller", "clock", "random", "settings", "sweep")

    def __init__(
        self,
        *,
        clock: Clock,
        sweep: Sweep,
        settings: DispatchSettings,
        caller: str,
        random: Callable[[], float],
    ) -> None:
        """See the class for the arguments."""
        self.clock = clock
        self.sweep = sweep
        self.settings = settings
        self.caller = caller.encode("ascii", "replace")
        self.random = random
