"""What goes wrong, told in one line: what happened, and what to do.

Exit statuses: 0 done, 1 not done, 2 not understood, 130 interrupted.
"""

from __future__ import annotations

import sys

from balancer import CallError, Rejected

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


class Failed(Exception):
    """What was asked for could not be done; the message is the line that people read."""


class Misused(Exception):
    """A command line that is not understood; the message says what is wrong and what is known."""


def one_line(text: object) -> str:
    """A text without line breaks, and without anything that would command a terminal."""
    joined = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in joined)


def say(text: object) -> None:
    """Write one line to standard error; above a table that lives there."""
    # By its name, which rich takes while such a table lives: whoever finds the stream underneath
    # writes into the table, and the next one is drawn over it.
    if sys.stderr is not None:  # closed by whoever started us
        sys.stderr.write(f"txmesh: {one_line(text)}\n")
        sys.stderr.flush()


def call_failure(operation: str, error: CallError) -> Failed:
    """Tell how a call ended without its answer.

    Args:
        operation: such as "users.fetch".
        error: what the client got.
    """
    if isinstance(error, Rejected):
        what = error.detail or error.title
        return Failed(f"{operation} was rejected: {error.status} {error.type}: {what}")
    what = str(error).removeprefix(f"{operation}: ").removeprefix(f"{error.service}: ")
    tried = f" ({error.attempts} attempts)" if error.attempts > 1 else ""
    return Failed(f"{operation} failed: {what}{tried}")
