"""What may be asked of a running `txmesh up`, and what it answers."""

from __future__ import annotations

import msgspec

from ..fleet.drivers.interface import Build, Built


class BuiltAsked(msgspec.Struct, frozen=True, tag="built"):
    """Which replicas are there?

    Attributes:
        service: whose.
    """

    service: str


class BuildAsked(msgspec.Struct, frozen=True, tag="build"):
    """Build one on standby.

    Attributes:
        build: what.
    """

    build: Build


class RetireAsked(msgspec.Struct, frozen=True, tag="retire"):
    """Do not start one again when it ends.

    Attributes:
        replica: its name.
    """

    replica: str


class RemoveAsked(msgspec.Struct, frozen=True, tag="remove"):
    """End one and forget it; answered when it is gone.

    Attributes:
        replica: its name.
    """

    replica: str


class TailAsked(msgspec.Struct, frozen=True, tag="tail"):
    """What are the last lines of its log?

    Attributes:
        replica: its name.
    """

    replica: str


class Replicas(msgspec.Struct, frozen=True, tag="replicas"):
    """Those that are there.

    Attributes:
        replicas: all of one service.
    """

    replicas: list[Built]


class Lines(msgspec.Struct, frozen=True, tag="lines"):
    """The end of a log.

    Attributes:
        lines: the oldest first.
    """

    lines: list[str]


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is done."""


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """It cannot be done.

    Attributes:
        why: what happened and what to do, for people.
    """

    why: str


Question = BuiltAsked | BuildAsked | RetireAsked | RemoveAsked | TailAsked
Answer = Replicas | Lines | Done | Refusal
