"""Why a replacement that could still go on is given up. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ..bake.comparison import fault
from ..journal import Journal
from .view import Seen, View, Wanted

# One that does not answer for so long (seconds) while it is watched is ill. A busy machine may miss
# one question of a second, not three.
ILL_S = 3.0


class Trouble(NamedTuple):
    """What is wrong.

    Attributes:
        why: for people; "" when nothing is known to be wrong.
        failed: the replica whose own trouble it is; "" for none.
    """

    why: str
    failed: str = ""


def against(wanted: Wanted, journal: Journal) -> str:
    """Why somebody wants a replacement undone that could still go on; "" when nobody does."""
    if wanted.abort:
        return "it was aborted"
    if wanted.stop:
        return "it was interrupted"
    if not wanted.matches(journal):
        return f"version {wanted.version} is wanted instead of {journal.version}"
    return ""


def trouble(view: View, wanted: Wanted, journal: Journal, now: float) -> Trouble:
    """What is wrong with the new replicas."""
    for each in view.members(journal):
        why = _cannot_work(each)
        if journal.phase == "build":
            why = why or _is_late(each, now - view.since, wanted.ready_s)
        else:
            why = why or _is_gone(each, now)
        if why:
            return Trouble(f"{each.replica} {why}", each.replica)
    if journal.phase not in ("canary", "bake") or view.comparison is None:
        return Trouble("")
    silent = wanted.traffic and not view.comparison.new.requests
    if silent and view.comparison.seconds >= wanted.bake_s:
        return Trouble(f"the new version got no call in {wanted.bake_s:g} s")
    return Trouble(fault(view.comparison))


def _cannot_work(each: Seen) -> str:
    if each.fault:
        return f"cannot be built: {each.fault}"
    if each.ended and each.built is not None:
        return f"ended: {each.built.why}" if each.built.why else "ended"
    return f"failed its smoke call: {each.smoked}" if each.smoked else ""


def _is_late(each: Seen, after_s: float, ready_s: float) -> str:
    well = each.up and each.smoked == ""
    return f"is not ready after {ready_s:g} s" if not well and after_s >= ready_s else ""


def _is_gone(each: Seen, now: float) -> str:
    if each.restarted:
        return "died and was started again"
    if each.ill_s(now) >= ILL_S:
        return f"was ready, and is {each.state or 'gone'}"
    return ""
