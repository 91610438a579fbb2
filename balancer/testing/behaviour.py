"""What a scripted replica does with an attempt: one small record for each way that it can end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from .replica import FakeReplica

# A quick internal call (seconds): short beside every deadline, long beside the clock's grain.
QUICK_S = 0.002


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all of them."""


class Answer(Behaviour, frozen=True, kw_only=True):
    """It answers.

    Attributes:
        status: the HTTP status.
        body: raw.
        headers: (name, value) pairs.
        after_s: how long it takes, in seconds; 0 answers at once, within ``start``.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    after_s: float = QUICK_S

    @classmethod
    def nack(cls, *, after_s: float = QUICK_S) -> Answer:
        """A refusal that was not begun, as a replica sends it that has no room."""
        return cls(status=503, headers=((b"Mesh-Nack", b"1"),), after_s=after_s)

    @classmethod
    def misdirected(cls) -> Answer:
        """What another service's replica answers that has the address now."""
        return cls(status=421, headers=((b"Mesh-Nack", b"1"),))

    @classmethod
    def draining(cls, *, after_s: float = QUICK_S) -> Answer:
        """A good answer from a replica that is leaving."""
        load = b"in-flight=1, latency-ms=1.000, age-s=60, draining"
        return cls(headers=((b"Mesh-Load", load),), after_s=after_s)


class Silent(Behaviour, frozen=True, kw_only=True):
    """It never says a word, as a frozen process or a lost machine.

    Attributes:
        connected: whether the request could be sent: True is a frozen process, whose kernel
            still takes connections; False a machine that is gone.
    """

    connected: bool = True


class Refuses(Behaviour, frozen=True, kw_only=True):
    """Nobody listens: the connect fails.

    Attributes:
        after_s: how long that takes, in seconds.
    """

    after_s: float = 0.0002


class Breaks(Behaviour, frozen=True, kw_only=True):
    """The connection breaks after the request was sent.

    Attributes:
        after_s: how long that takes, in seconds.
    """

    after_s: float = QUICK_S


class Garbled(Behaviour, frozen=True, kw_only=True):
    """It answers what is no HTTP.

    Attributes:
        after_s: how long that takes, in seconds.
    """

    after_s: float = QUICK_S


# Decides at each attempt, from the replica as it is then (say, by its ``in_flight``).
Scripted: TypeAlias = "Behaviour | Callable[[FakeReplica], Behaviour]"
