"""What to do next, from what is seen, what is wanted and what was decided. Pure.

One rule holds everywhere: a replica that takes calls is told to leave only while enough others take
them, whatever else is decided; and it is removed only when it has left, or does not answer. So a
plan made again from any state, by this process or the next one, loses nothing.

There are two decisions with no way back, and each is in the journal before anything follows from
it: "drain", when the old ones leave, and "undo", when the new ones do.
"""

from __future__ import annotations

from msgspec.structs import replace

from balancer import Endpoint

from ..journal import Journal
from .beginning import begin, build, held, watch
from .ending import drain, undo
from .steps import Note, Plan
from .trouble import Trouble, against, trouble
from .view import View, Wanted


def plan(view: View, wanted: Wanted, journal: Journal | None, now: float) -> Plan:
    """Decide what to do.

    Args:
        view: what is seen.
        wanted: what is asked for.
        journal: what was decided; None when no replacement has begun.
        now: in the clock's seconds.
    """
    if view.stale:
        return Plan(waiting=view.stale)
    if journal is None:
        return begin(view, wanted)
    known = _known(view, journal)
    if known != journal.known:
        return Plan(steps=(Note(replace(journal, known=known)),))
    if journal.phase not in ("drain", "undo"):
        unwanted = against(wanted, journal)
        found = Trouble(unwanted) if unwanted else trouble(view, wanted, journal, now)
        if found.why:
            undone = replace(journal, phase="undo", why=found.why, failed=found.failed)
            return Plan(steps=(Note(undone),))
    match journal.phase:
        case "build":
            decided = build(view, wanted, journal)
        case "canary" | "bake":
            decided = watch(view, wanted, journal)
        case "held":
            decided = held(wanted, journal)
        case "drain":
            decided = drain(view, wanted, journal, now)
        case "undo":
            decided = undo(view, wanted, journal, now)
    return decided


def _known(view: View, journal: Journal) -> tuple[Endpoint, ...]:
    """The new ones that ever stood in the registry, as they did first."""
    known = {endpoint.replica: endpoint for endpoint in journal.known}
    for each in view.members(journal):
        if each.endpoint is not None:
            known.setdefault(each.replica, each.endpoint)
    return tuple(known.values())
