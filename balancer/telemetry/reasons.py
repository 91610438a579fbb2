"""Why that replica, and why it was left out: decisions in words.

The policies say nothing of their reasons, as words cost time that every pick would pay for. They
are found afterwards, from what was compared and what came of it: so each sentence here states a
fact about the numbers beside it, and holds whatever went on inside the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from ..policy import Replica
from .decisions import CandidateEntry

# What the lowest value of each signal is.
_LOWEST: Mapping[str, str] = MappingProxyType(
    {
        "in-flight": "fewest in flight",
        "peak-ewma": "lowest peak latency",
        "reported": "fewest in flight by their reports",
        "latency": "lowest reported latency",
        "expected": "lowest expected latency",
    }
)
# Signals that say nothing before a replica has reported.
_OF_REPORTS = frozenset({"reported", "latency", "expected"})
# What came of the probe of whom something else than failures had ejected.
_PROBES: Mapping[str, str] = MappingProxyType(
    {"latency": "its probe took far too long", "rejections": "its probe was rejected"}
)
# More names than this fill the line and tell nothing more.
_NAMES = 3


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One pick, with what there was to pick from.

    Attributes:
        policy: the way of picking in force.
        signal: what counted as load.
        group: to which part of a fleet the call was given before, in words; "" when it has none.
        compared: what the pick looked at, the picked one first.
        keyed: whether it went by the call's key.
        tried: names of replicas that the call has tried before.
        hedge: whether the latest of these has not answered yet.
        left: how many might have been picked: those of the group that were not tried yet.
        known: how many there are.
        again: whether it is another attempt, after a wait, when all were tried.
        panic: whether all are ejected or leaving, so that it makes no difference.
        probe: how long ago the picked one's ejection ended, in seconds, when the attempt is its
            probe; else None.
        ejected_for: why the picked one was ejected when it last was; "" for never.
    """

    policy: str
    signal: str
    group: str
    compared: Sequence[CandidateEntry]
    keyed: bool
    tried: Sequence[str]
    hedge: bool
    left: int
    known: int
    again: bool
    panic: bool
    probe: float | None
    ejected_for: str


def pick_reason(choice: Choice) -> str:
    """Say why a replica was picked."""
    parts = []
    if choice.hedge:
        parts.append(f"hedge: {_listed(choice.tried)} has not answered yet")
    elif choice.tried:
        have = "was" if len(choice.tried) == 1 else "were"
        parts.append(f"another try: {_listed(choice.tried)} {have} tried")
    elif choice.again:
        parts.append("another try after a wait: all were tried")
    if choice.group:
        parts.append(choice.group)
    parts.append(_situation(choice) or _by_policy(choice))
    return "; ".join(parts)


def health_reason(replica: Replica, change: str, reason: str, *, again: bool) -> str:
    """Say why a replica's health has changed.

    Args:
        replica: its record after the change.
        change: "ejected", "restored" or "kept".
        reason: see `HealthEntry`.
        again: whether the change before was the same: of an ejected one, that its probe has ended.
    """
    if change == "restored":
        return "too few well ones were left" if reason == "panic" else "its probe was answered"
    if change == "ejected" and again and reason != "draining":
        return _PROBES.get(reason, "its probe failed")
    why = _illness(replica, reason)
    return f"{why}; but too few would be left" if change == "kept" else why


def _illness(replica: Replica, reason: str) -> str:  # noqa: PLR0911 - a case each
    match reason:
        case "failures":
            return _in_a_row(replica.failures, "failure")
        case "connect":
            return _in_a_row(replica.connect_failures, "failed connect")
        case "success-rate":
            share = replica.faults / (replica.answers + replica.faults)
            return f"{share:.0%} of its attempts of late failed, and far fewer of the others'"
        case "latency":
            return "its answers of late took far longer than the others'"
        case "rejections":
            share = replica.rejections / replica.answers
            return f"{share:.0%} of its answers of late were 4xx, and far fewer of the others'"
        case "silence":
            return "calls went there, and nothing came back"
        case "draining":
            return "it said that it is leaving"
        case "misdirected":
            return "another service answers there"
    return reason


def _in_a_row(count: int, what: str) -> str:
    return f"one {what}" if count == 1 else f"{count} {what}s in a row"


def _situation(choice: Choice) -> str:  # noqa: PLR0911 - a case each
    """What left nothing to compare; "" when it was the policy's to say."""
    picked = choice.compared[0]
    if choice.probe is not None:
        when = f"{choice.probe:.1f} s ago" if choice.probe >= 0.1 else "just now"
        return f"probe: it was ejected ({choice.ejected_for}) until {when}"
    if choice.known == 1:
        return "the only one"
    if choice.tried and choice.left == 1:
        return "the only one left"
    if not choice.tried and choice.left == 1:
        return "the only one that may be picked"
    if picked.replica in choice.tried:
        return f"all were; {_by_policy(choice)}"
    if choice.panic:
        what = "leaving" if picked.state == "draining" else "ejected (panic)"
        return f"all are {what}; {_by_policy(choice)}"
    if picked.state != "up":
        return f"only {picked.state} ones are left; {_by_policy(choice)}"
    return ""


def _by_policy(choice: Choice) -> str:
    if choice.keyed:
        return _by_key(choice)
    return _POLICIES.get(choice.policy, _by_load)(choice)


def _by_key(choice: Choice) -> str:
    if len(choice.compared) == 1:
        return "the call's key belongs there"
    owner = choice.compared[1].replica
    return f"the call's key belongs to {owner}, which has its share; this one comes next"


def _by_load(choice: Choice) -> str:
    picked, compared = choice.compared[0], choice.compared
    count = f"{len(compared)} compared"
    if choice.signal in _OF_REPORTS and all(each.heard_s is None for each in compared):
        which = f"none of the {count} has" if len(compared) > 1 else "it has not"
        return f"a draw: {which} reported yet"
    if len(compared) == 1:
        return "drawn by speed" if choice.policy == "fresh" else "drawn at random, twice the same"
    loads = [candidate.load for candidate in compared]
    if min(loads) == max(loads):
        return f"a draw: the {count} look alike"
    if picked.load == min(loads):
        tie = " (a tie)" if loads.count(picked.load) > 1 else ""
        return f"{_LOWEST.get(choice.signal, 'lowest load')} of {count}{tie}"
    if choice.policy == "fresh":
        return f"drawn by speed: no other of the {count} is better by enough"
    return f"drawn of {count}"


def _by_heat(choice: Choice) -> str:
    picked, compared = choice.compared[0], choice.compared
    if len(compared) == 1 or any(each.heard_s is None or each.heard_s > 1.0 for each in compared):
        return _by_load(choice)  # too few reports: two drawn at random

    def load(each: CandidateEntry) -> float:
        return (each.others + each.in_flight + each.refusals) / each.weight

    # The cold are all those below some load. Were the picked one cold, nobody with less load could
    # be faster.
    calmer = [each for each in compared if load(each) <= load(picked)]
    if min(each.reported_s for each in calmer) < picked.reported_s:
        return f"fewest in flight of {len(compared)} heard of lately, all of which are busy"
    return f"fastest of those not busy, of {len(compared)} heard of lately"


def _said(words: str) -> Callable[[Choice], str]:
    return lambda choice: words


_POLICIES: Mapping[str, Callable[[Choice], str]] = MappingProxyType(
    {
        "round-robin": _said("its turn"),
        "random": _said("drawn at random"),
        "weighted": _said("drawn at random, by weight and speed"),
        "hot-cold": _by_heat,
    }
)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[-_NAMES:])
    more = len(names) - _NAMES
    return f"{shown} and {more} more" if more > 0 else shown
