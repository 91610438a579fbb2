"""What ``txmesh replace --json`` prints, an object a line. Others read these: a field is a promise.

``event`` says which kind it is, ``at_s`` when, in seconds since the command began.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """The base of all.

    Attributes:
        at_s: seconds since the command began.
    """

    at_s: float


class PhaseEvent(Event, frozen=True, kw_only=True, tag="phase"):
    """A decision, which is in the journal now.

    Attributes:
        phase: "build", "canary", "bake", "held", "drain" or "undo"; see `Journal`.
        version: the new one.
        members: the new replicas' names.
        why: why it is undone; "" otherwise.
    """

    phase: str
    version: str
    members: tuple[str, ...]
    why: str = ""


class ReplicaEvent(Event, frozen=True, kw_only=True, tag="replica"):
    """A replica is in another state than before.

    Attributes:
        replica: its name.
        role: whether it is one of the new ones.
        version: what it runs; "" when nobody knows.
        address: "host:port" of its service port; "" before it has one.
        state: "building", "standby", "ready", "draining", "starting", "silent", "unreachable",
            "unlisted" (it runs and is not in the registry), "ended" or "gone".
    """

    replica: str
    role: Literal["new", "old"]
    version: str
    address: str
    state: str


class StepEvent(Event, frozen=True, kw_only=True, tag="step"):
    """Something was done, or could not be.

    Attributes:
        step: "make", "smoke", "announce", "leave" or "remove".
        replica: to which replica.
        why: why it could not be done; "" when it was.
    """

    step: str
    replica: str
    why: str = ""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What the new or the old replicas answered since they are watched.

    Attributes:
        requests: answered ones.
        errors: those answered with a 5xx.
        mean_ms: the mean latency.
        p99_ms: the 99th percentile.
    """

    requests: int
    errors: int
    mean_ms: float
    p99_ms: float


class BakeEvent(Event, frozen=True, kw_only=True, tag="bake"):
    """How the new ones do beside the old ones.

    Attributes:
        seconds: for how long they have been watched.
        of_s: for how long they will be.
        new: the new ones.
        old: the old ones.
    """

    seconds: float
    of_s: float
    new: Side
    old: Side


class WaitEvent(Event, frozen=True, kw_only=True, tag="wait"):
    """Something else is waited for than before.

    Attributes:
        why: what.
    """

    why: str


class NoticeEvent(Event, frozen=True, kw_only=True, tag="notice"):
    """Something that people should know, and that changes nothing by itself.

    Attributes:
        what: such as the word that an earlier replacement left, or what follows from a ^C.
    """

    what: str


class EndedEvent(Event, frozen=True, kw_only=True, tag="ended"):
    """The last line.

    Attributes:
        outcome: "replaced", "held", "rolled-back", "aborted", "refused", "unfinished",
            "busy" or "too-late" (to be aborted: it is replaced).
        why: why; "" when there is nothing to say.
        version: the new version; "" when none was asked for.
        members: the new replicas' names, as far as there are any.
        status: the command's exit status.
    """

    outcome: str
    why: str
    version: str
    members: tuple[str, ...]
    status: int
