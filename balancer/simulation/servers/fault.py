"""What can be wrong with a server while it runs."""

from __future__ import annotations

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all of them."""


class BlackHole(Fault, frozen=True, kw_only=True):
    """It takes connections and requests, and never says a word: a frozen or deadlocked process."""


class Failing(Fault, frozen=True, kw_only=True):
    """It answers every request with an error.

    Attributes:
        status: the error's.
        nack: whether the answer promises that nothing was begun (``Mesh-Nack``).
        after_s: how long that takes, in seconds; None takes as long as the work would have.
    """

    status: int = 500
    nack: bool = False
    after_s: float | None = 0.0
