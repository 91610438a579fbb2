"""The two ways to the end: the old replicas leave, or the new ones do. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ...probe import DRAINING, READY
from ..journal import Journal
from .beginning import begin, full_weights, grow, take_calls
from .steps import Forget, Leave, Note, Outcome, Plan, Remove, Step
from .trouble import against
from .view import Seen, View, Wanted


def drain(view: View, wanted: Wanted, journal: Journal, now: float) -> Plan:
    """Have the old ones leave; there is no way back, so what the new ones lack is made up for."""
    new, old = view.members(journal), view.others(journal)
    lost = [each for each in new if each.ended or each.ill_s(now) >= wanted.ready_s]
    if lost:
        if against(wanted, journal) and not (wanted.abort or wanted.stop):
            # What was to be finished first cannot be: all that is there is old to the next one.
            return begin(view, replace(wanted, replicas=wanted.replicas or journal.replicas))
        return _make_up_for(lost, journal)
    steps = list(grow(new, journal))
    answering = [each for each in new if each.smoked == "" or each.state == READY]
    steps.extend(take_calls(answering, full_weights(journal)))
    taking = sum(each.serving for each in new)
    enough = taking >= journal.replicas
    going = [each for each in old if enough or each.ended]
    leaving = _see_off(going, wanted, journal, now, enough=enough)
    steps.extend(leaving.steps)
    if not enough:
        text = f"{taking} of {journal.replicas} new replicas take calls; the old ones stay"
        return Plan(steps=tuple(steps), waiting=text, stuck=True)
    if steps or leaving.waiting:
        return replace(leaving, steps=tuple(steps))
    if wanted.abort:
        why = "the old replicas had begun to leave when it was to be aborted"
        return _end(wanted, journal, Outcome.TOO_LATE, why)
    return _end(wanted, journal, Outcome.REPLACED, "")


def _make_up_for(lost: list[Seen], journal: Journal) -> Plan:
    """Name others in the place of new replicas that have ended for good, or seem to hang."""
    gone = {each.replica for each in lost}
    stem, _, _ = journal.members[0].rpartition("-")
    last = max(int(name.rpartition("-")[2]) for name in journal.members)
    made = (f"{stem}-{last + number}" for number in range(1, len(lost) + 1))
    kept = (name for name in journal.members if name not in gone)
    return Plan(steps=(Note(replace(journal, members=(*kept, *made))),))


def undo(view: View, wanted: Wanted, journal: Journal, now: float) -> Plan:
    """Have the new ones leave; the old ones were never touched."""
    there = [each for each in view.members(journal) if each.built or each.listed]
    taking = sum(each.serving for each in view.others(journal))
    needed = min(journal.before, journal.replicas)
    leaving = _see_off(there, wanted, journal, now, enough=taking >= needed)
    if there:
        if taking < needed and not leaving.steps:
            text = f"{taking} of {needed} old replicas take calls; the new ones stay"
            return Plan(waiting=text, stuck=True)
        return leaving
    outcome = Outcome.ABORTED if wanted.abort else Outcome.ROLLED_BACK
    return _end(wanted, journal, outcome, journal.why)


def _end(wanted: Wanted, journal: Journal, outcome: Outcome, why: str) -> Plan:
    """Close a replacement; the command ends with it, unless it wants another one."""
    if wanted.abort or wanted.stop or wanted.matches(journal):
        return Plan(steps=(Forget(),), ended=outcome, why=why, failed=journal.failed)
    return Plan(steps=(Forget(),))


def _see_off(
    leaving: Iterable[Seen], wanted: Wanted, journal: Journal, now: float, *, enough: bool
) -> Plan:
    """Have replicas leave, and clear away those that have or do not answer.

    What may be called is told to leave; it is removed only when it has not answered for long, and
    while enough others take calls.

    Args:
        leaving: those that are to go.
        wanted: how long one may take.
        journal: which are the new ones.
        now: in the clock's seconds.
        enough: whether enough others take calls.
    """
    steps: list[Step] = []
    waiting, staying = [], []
    for each in leaving:
        known = each.built is not None
        late = each.ill_s(now) >= wanted.leave_s
        if not each.listed:
            if known and _has_left(each, wanted, journal, now):
                steps.append(Remove(each.replica))
            elif known:
                waiting.append(each.replica)
            # Otherwise it was started by hand, and it has left.
        elif late and (enough or not each.announced):
            if known:
                steps.append(Remove(each.replica))
            else:
                staying.append(each.replica)
        elif not late and each.state != DRAINING and (enough or not each.announced):
            steps.append(Leave(each.replica, each.endpoint, built=known))
        else:
            waiting.append(each.replica)
    if staying:
        text = (
            f"{', '.join(staying)} does not leave, and the driver does not know it: end it by hand"
        )
        return Plan(steps=tuple(steps), waiting=text, stuck=True)
    return Plan(steps=tuple(steps), waiting=f"{', '.join(waiting)} to leave" if waiting else "")


def _has_left(each: Seen, wanted: Wanted, journal: Journal, now: float) -> bool:
    """Whether nobody calls one any more of which the registry does not tell.

    A registry that was emptied tells of nobody for a while, and a driver may see an end too soon:
    unless it was told to leave, one that runs has a lease's time to appear again.
    """
    if each.ended and each.told and each.state != DRAINING:
        return True
    if each.endpoint is None and each.replica in journal.members:
        return True  # the journal would know of it: it was never announced
    # Of one that never came as far as the registry there is no drain to wait for.
    soon = (each.ended and not each.told) or each.endpoint is None
    patience_s = wanted.lease_s if soon else max(wanted.leave_s, wanted.lease_s)
    return each.absent_s(now) >= patience_s
