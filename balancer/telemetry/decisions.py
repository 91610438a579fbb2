"""The decision log: which replicas a call could have had, which it got, why, and what came of it.

Every picking is explained by what was known at that instant, and a moment later that is gone. So a
process keeps the last of its decisions: of one call in so many, and of every change of a replica's
health. People read them (``txmesh call --explain``, ``/decisions`` on the admin port), and
``txmesh simulate --replay FILE`` runs them through another policy.

The written form is JSON lines. The first is a `DecisionHeader`; each other one is a `CallEntry` or
a `HealthEntry`, told apart by ``entry``, in the order of their ``at_s``. A field that has its
default may be left out; whoever reads ignores what it does not know, and refuses another
``version``.

Nothing in it is the user's: no target, header or body, and of a call's key only a digest, salted
anew by each process, which tells like keys from unlike ones and nothing more.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

FORMAT = "txmesh-decisions"
# Raised when what is written can no longer be read by the rules for what was written before.
VERSION = 1

State: TypeAlias = Literal["up", "ejected", "probing", "draining"]
Kind: TypeAlias = Literal["first", "retry", "hedge"]


class DecisionHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line.

    Attributes:
        format: always "txmesh-decisions".
        version: of the format.
        caller: the process's name in ``Mesh-Caller``.
        began: when its log began, in seconds since the epoch: the instant 0 of every ``at_s``.
        every: one call in so many was sampled: each `CallEntry` stands for so many calls.
        left_out: how many entries, older ones, are missing because there was too much to tell.
    """

    format: str = FORMAT
    version: int = VERSION
    caller: str
    began: float
    every: int
    left_out: int = 0


class CandidateEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One replica as the caller saw it when it picked, before the attempt was counted.

    Attributes:
        replica: its name.
        address: "host:port"; it tells replicas apart.
        version: what it runs.
        zone: where it runs.
        compared: whether the pick looked at it; else it is here for the whole picture.
        state: "up", "ejected", "probing" (ejected, with its probe out) or "draining".
        weight: what it should take of the calls beside others; at most 1.
        in_flight: this process's own attempts on it.
        others: requests of other callers in it, as it last reported, fading.
        refusals: recent refusals and failures, each as heavy as an attempt in flight, fading.
        cost_s: how slow it is whatever its load: seconds a request, by the square root of those in
            flight; see `balancer.policy.signals`.
        reported_s: how long requests took in it of late, as it last reported, in seconds; fading.
        latency_s: how long our own attempts took of late, in seconds; 0 when none has ended.
        heard_s: how old its last report was, in seconds; None when it has reported nothing yet.
        load: the value of the call's signal, the less the better.
    """

    replica: str
    address: str
    version: str = ""
    zone: str = ""
    compared: bool = False
    state: State = "up"
    weight: float = 1.0
    in_flight: int = 0
    others: float = 0.0
    refusals: float = 0.0
    cost_s: float = 0.0
    reported_s: float = 0.0
    latency_s: float = 0.0
    heard_s: float | None = None
    load: float = 0.0


class AttemptEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try on one replica, and the choice before it.

    Attributes:
        at_s: when it was picked and began, in seconds since the log began.
        kind: "first", "retry" or "hedge".
        picked: the replica's address; it is always among the candidates.
        why: why that one, in words.
        known: how many replicas the caller used: all that there are, or its part of very many.
        available: how many of them might be picked.
        compared: at how many of those the pick looked.
        candidates: those first, then others, up to a bound.
        latency_s: from its beginning to its end; until it was given up, when there was no answer.
        status: the answer's HTTP status; 0 when there was none.
        error: when there was no answer: the error's kind, such as "connect", "reply-lost" or
            "attempt-timeout" (a share of the deadline was over), "deadline", or "cancelled" (by the
            caller, or because another attempt of the call was faster).
    """

    at_s: float
    kind: Kind
    picked: str
    why: str
    known: int
    available: int
    compared: int
    candidates: list[CandidateEntry]
    latency_s: float
    status: int = 0
    error: str = ""


class CallEntry(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="entry", tag="call"
):
    """One sampled call, from its beginning to its end.

    Attributes:
        at_s: when it began, in seconds since the log began.
        service: whom it called.
        retryable: whether doing it twice is harmless.
        deadline_s: how long its caller would wait, in seconds.
        key: a digest of what its answer depends on; "" when it declares nothing.
        policy: the way of picking in force.
        signal: what counted as load.
        attempts: in the order of their beginnings; none when there was no replica, or no time.
        latency_s: from its beginning to its end.
        status: the final answer's HTTP status; 0 when there was none.
        error: how it ended without its answer: the error's kind; "" when the answer was good.
        balance: retries that the service's budget held at the end.
    """

    at_s: float
    service: str
    retryable: bool
    deadline_s: float
    key: str = ""
    policy: str
    signal: str
    attempts: list[AttemptEntry]
    latency_s: float
    status: int = 0
    error: str = ""
    balance: float


class HealthEntry(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="entry", tag="health"
):
    """A replica's health has changed in this process's eyes.

    Attributes:
        at_s: when, in seconds since the log began.
        service: its service.
        replica: its name.
        address: "host:port".
        change: "ejected", "restored", or "kept" (it would have been ejected, but most are; told
            once a second at the most).
        reason: "failures", "connect", "success-rate", "latency", "rejections", "silence",
            "draining" or "misdirected": why it was ejected, of a restored one too; or "panic", when
            too few well ones were left.
        why: in words, such as "5 failures in a row".
        ejected_s: how long it is left out, in seconds; 0 unless it was ejected.
    """

    at_s: float
    service: str
    replica: str
    address: str
    change: str
    reason: str
    why: str
    ejected_s: float = 0.0


# What a line after the first is: ``msgspec.json.decode(line, type=DecisionEntry)``.
DecisionEntry: TypeAlias = CallEntry | HealthEntry
