"""Whether a job is to be run now: pure, from what is known of its last runs.

What is known is a note that each holder of the job's lock leaves for the next one. Only who holds
the lock decides by it, so there is no race between reading it and running.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from .timetable import Timetable

# After a failed run the same slot is tried again: at first soon, for a connection that was just
# lost; then seldom enough that a job which fails all night is no load and no flood of logs.
RETRY_FIRST_S = 1.0
RETRY_MOST_S = 300.0


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a job's runs. All times are the wall clock's, in seconds since 1970 UTC.

    Attributes:
        done: the last slot that was run to a good end.
        by: who ran it, for people.
        failed: the slot whose runs have failed.
        failures: how many of them did.
        again: when that slot is to be tried again.
    """

    done: float
    by: str = ""
    failed: float = -1.0
    failures: int = 0
    again: float = 0.0

    def text(self) -> str:
        """As it is left in the registry."""
        return msgspec.json.encode(self).decode()


def read_note(text: str) -> Note | None:
    """What the last holder left; None when there is nothing of use."""
    try:
        return msgspec.json.decode(text.encode(), type=Note)
    except (ValueError, RecursionError):  # what msgspec raises is a ValueError
        return None


@dataclass(frozen=True, slots=True)
class Due:
    """The job is to be run.

    Attributes:
        slot: for which slot.
    """

    slot: float


@dataclass(frozen=True, slots=True)
class Later:
    """The job is not to be run yet.

    Attributes:
        until: when to ask again, by the wall clock.
    """

    until: float


def decide(timetable: Timetable, note: Note, now: float) -> Due | Later:
    """Decide whether the slot that has begun last is to be run.

    Slots before it are never made up for: a job that was not run for a while runs once. A slot
    that was done counts although it has not begun by this clock, since those of two machines
    differ a little; but only the very next one. Beyond that the clock was set back, and waiting
    for it to come to where it was could mean not to run for years.

    Args:
        timetable: the job's.
        note: what is known.
        now: by the wall clock, in seconds since 1970 UTC.
    """
    slot = timetable.latest(now)
    following = timetable.following(slot)
    if slot <= note.done <= following:
        return Later(timetable.following(note.done))
    # The second half of the condition is for a clock that was set back.
    if note.failed == slot and now < note.again <= now + RETRY_MOST_S:
        return Later(min(note.again, following))
    return Due(slot)


def after_success(slot: float, by: str) -> Note:
    """What is known after a good run."""
    return Note(done=slot, by=by)


def after_failure(note: Note, slot: float, now: float, lasted_s: float) -> Note:
    """What is known after a run that failed.

    Args:
        note: what was known before it.
        slot: which slot it was for.
        now: its end, by the wall clock.
        lasted_s: how long it ran, in seconds; one that ran long is no failure in a row (a daemon
            has one slot for all its life).
    """
    in_a_row = note.failed == slot and lasted_s < RETRY_MOST_S
    failures = note.failures + 1 if in_a_row else 1
    # The exponent is bounded before the power is taken.
    wait_s = min(RETRY_FIRST_S * 2 ** min(failures - 1, 16), RETRY_MOST_S)
    # What was done in a time that a clock has been set back from is not to be believed later, when
    # it is nearly there again.
    done = note.done if note.done < slot else 0.0
    return Note(done=done, by=note.by, failed=slot, failures=failures, again=now + wait_s)
