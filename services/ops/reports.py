"""The documents that ``--json`` prints. Others read them: a field here is a promise."""

from __future__ import annotations

import msgspec

from balancer import CallError, Refused
from balancer.telemetry import CallEntry, HealthEntry


class RegistryReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where replicas were looked up.

    Attributes:
        url: as configured, with the whole path of a folder.
        age_s: how old the view is, in seconds; None when nobody was ever told anything.
        answered: whether it is the registry that told; if not, it is lost, and the replicas are
            those that callers on this machine knew last.
    """

    url: str
    age_s: float | None
    answered: bool = True


class ReplicaReport(msgspec.Struct, frozen=True, kw_only=True):
    """One replica.

    Attributes:
        service: its service's name.
        replica: its own name.
        address: "host:port" of its service port.
        admin: "host:port" of its admin port; "" when the registry knows none.
        pid: its process id; 0 when the registry knows none.
        version: what it runs.
        state: "ready", "starting", "standby", "draining", "silent" or "unreachable".
        weight: its share of the calls relative to others; 1 is normal.
        age_s: seconds since it started; None when the registry does not know.
    """

    service: str
    replica: str
    address: str
    admin: str
    pid: int
    version: str
    state: str
    weight: float
    age_s: float | None


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``txmesh status --json`` and ``txmesh up --json`` print."""

    registry: RegistryReport
    replicas: list[ReplicaReport]


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``txmesh load --json`` prints.

    Attributes:
        calls: calls made; each has ended.
        failed: those that ended without the service's own answer.
        rejected: those that the service refused with its own 4xx.
        degraded: those that were answered with less than the whole.
        attempts: tries on replicas; those beyond ``calls`` are retries.
        seconds: from the first call's instant to the last answer.
        p50_ms: the median latency of all calls, counted from the instant at which each was due.
        p90_ms: likewise.
        p99_ms: likewise.
        p999_ms: likewise, p99.9.
        replicas: attempts by address; replicas that left during the run are among them.
        errors: failed and rejected calls by kind.
    """

    calls: int
    failed: int
    rejected: int
    degraded: int
    attempts: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    replicas: dict[str, int]
    errors: dict[str, int]


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a call ended without its answer, as ``txmesh call --json`` prints it.

    Attributes:
        kind: the error's short name, such as "rejected" or "deadline".
        message: all of it in a line.
        attempts: how many replicas were tried.
        sent: whether a replica may have begun the call.
        status: the HTTP status, when the service answered.
        type: the problem's short name, when the service answered.
        detail: what happened this time, when the service answered.
    """

    kind: str
    message: str
    attempts: int
    sent: bool
    status: int = 0
    type: str = ""
    detail: str = ""


class ExplainReport(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call went where it did, as ``txmesh call --explain --json`` prints it.

    Attributes:
        call: the call's entry in the decision log.
        health: the changes of health until its end, those before it too.
        unheard: whether no replica had reported its load before the first pick: then that was a
            draw, whatever the policy.
    """

    call: CallEntry
    health: list[HealthEntry]
    unheard: bool


def error_report(error: CallError) -> ErrorReport:
    """Report how a call ended without its answer."""
    refused = error if isinstance(error, Refused) else None
    return ErrorReport(
        kind=error.kind,
        message=str(error),
        attempts=error.attempts,
        sent=error.sent,
        status=refused.status if refused else 0,
        type=refused.type if refused else "",
        detail=refused.detail if refused else "",
    )
