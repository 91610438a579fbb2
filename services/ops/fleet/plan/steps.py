"""What a plan consists of: one effect each, and each may be repeated. Pure."""

from __future__ import annotations

from enum import Enum

import msgspec

from balancer import Endpoint

from ..drivers.interface import Build
from ..journal import Journal


class Note(msgspec.Struct, frozen=True):
    """Write the journal, before anything follows from what it says."""

    journal: Journal


class Forget(msgspec.Struct, frozen=True):
    """Delete the journal: nothing of it is left to do."""


class Make(msgspec.Struct, frozen=True):
    """Have the driver build a replica on standby."""

    build: Build


class Smoke(msgspec.Struct, frozen=True):
    """Make the contract's smoke call on a replica that stands by."""

    endpoint: Endpoint


class Announce(msgspec.Struct, frozen=True):
    """Have a replica take calls, or another share of them."""

    endpoint: Endpoint
    weight: float


class Leave(msgspec.Struct, frozen=True):
    """Have a replica not started again, and tell it to leave."""

    replica: str
    endpoint: Endpoint | None
    built: bool


class Remove(msgspec.Struct, frozen=True):
    """Have the driver end and clear away what is left of a replica."""

    replica: str


Step = Note | Forget | Make | Smoke | Announce | Leave | Remove


class Outcome(Enum):
    """How a command ends."""

    REPLACED = "replaced"
    HELD = "held"
    ROLLED_BACK = "rolled-back"
    ABORTED = "aborted"
    TOO_LATE = "too-late"
    REFUSED = "refused"
    UNFINISHED = "unfinished"
    BUSY = "busy"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now.

    Attributes:
        steps: to be done at once and side by side; but a `Note` or a `Forget` stands alone.
        waiting: what is waited for, for people; "" when there are steps alone.
        stuck: whether waiting longer may be in vain.
        ended: how it ended, when the steps are done; None while it has not.
        why: why it ended so.
        failed: the replica whose trouble that was; "" for none.
    """

    steps: tuple[Step, ...] = ()
    waiting: str = ""
    stuck: bool = False
    ended: Outcome | None = None
    why: str = ""
    failed: str = ""
