"""The errors of calls that end without a reply, in words for the person who reads them."""

from __future__ import annotations

from ..errors import CallError, ConnectFailed, DeadlineExceeded, NoReplicas, Overloaded
from ..values import Reply


def deadline_error(
    service: str, given_s: float, when: str, before: CallError | Reply | None, *, sent: bool
) -> CallError:
    """The deadline ran out.

    Args:
        service: the service's name.
        given_s: how long the call had, in seconds.
        when: what it was doing.
        before: what the attempt before had come to; None when there was none.
        sent: whether a replica may have begun the call.
    """
    if isinstance(before, Reply):
        then = f"; before that: it answered {before.status}"
    else:
        then = f"; before that: {before}" if before is not None else ""
    return DeadlineExceeded(
        f"{service}: the deadline of {given_s:.3f} s ran out {when}{then}", sent=sent
    )


def none_error(service: str, *, told: bool) -> CallError:
    """There is nobody to ask.

    Args:
        service: the service's name.
        told: whether the registry has ever said so.
    """
    if not told:
        return NoReplicas(
            f"the registry has not told of {service} yet, and nothing is remembered of it; check "
            "that it runs, and [registry] url"
        )
    return NoReplicas(
        f"no replica of {service} is announced; start one (twistd mesh-{service}, or txmesh up), "
        "or check [registry] url"
    )


def misdirected(address: str) -> CallError:
    """Another service's replica has the address: nobody of the one that was asked is there.

    Args:
        address: "host:port".
    """
    return ConnectFailed(
        f"another service answers at {address} (421): the registry's entry is old, or wrong"
    )


def throttled_error(service: str) -> CallError:
    """It was not sent, because the service refuses nearly all."""
    return Overloaded(
        f"{service}: not sent: it has refused most of this process's calls of the last seconds; "
        "call less, or add replicas",
        status=0,
        type="throttled",
        title="Refused by the caller's own throttle",
        sent=False,
    )
