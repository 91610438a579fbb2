"""What master and worker tell each other: a line of JSON a message, over two pipes.

Not signals: one that comes while a worker still starts would end it, or be lost; a message waits
in the pipe until it is read. After a reload the workers' code may be newer than the master's, so an
unknown field is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from .totals import Family

Wanted: TypeAlias = Literal["samples", "decisions"]


class Serve(msgspec.Struct, tag="serve"):
    """Accept connections from now on.

    Attributes:
        contend: whether to take scheduled work as well.
    """

    contend: bool


class Contend(msgspec.Struct, tag="contend"):
    """Take scheduled work from now on: the replica no longer stands by."""


class Ask(msgspec.Struct, tag="ask"):
    """Tell something; that it answers shows that the worker is alive.

    Attributes:
        number: counts the questions to one worker from 1.
        what: the counters, or these and the decision log.
    """

    number: int
    what: Wanted


class Reopen(msgspec.Struct, tag="reopen"):
    """Open the log file anew."""


class Drain(msgspec.Struct, tag="drain"):
    """Finish what runs, and leave.

    Attributes:
        wait_s: when to cut what is left, in seconds.
        idle_s: when to close connections that are not used, in seconds; None: soon.
        leaving: whether the whole replica leaves, so that callers are to go elsewhere; else others
            take over, and nobody is told.
    """

    wait_s: float
    idle_s: float | None = None
    leaving: bool = True


class Ready(msgspec.Struct, tag="ready"):
    """It could serve."""


class CannotStart(msgspec.Struct, tag="cannot-start"):
    """It never will.

    Attributes:
        why: for people; it holds no values.
    """

    why: str


class Told(msgspec.Struct, tag="told"):
    """The answer to `Ask`; without one (number 0) the last words of a worker that leaves.

    Attributes:
        number: the question's.
        families: its counters.
        decisions: its decision log, when that was asked.
    """

    number: int
    families: list[Family]
    decisions: str = ""


ToWorker: TypeAlias = Serve | Contend | Ask | Reopen | Drain
ToMaster: TypeAlias = Ready | CannotStart | Told

_encode = msgspec.json.Encoder().encode
decode_to_worker = msgspec.json.Decoder(ToWorker).decode
decode_to_master = msgspec.json.Decoder(ToMaster).decode


def encode_line(message: ToWorker | ToMaster) -> bytes:
    """Write a message."""
    return _encode(message) + b"\n"


class Lines:
    """Cuts a stream into lines."""

    def __init__(self) -> None:
        """Begin with nothing received."""
        self._rest: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in a piece of the stream; its whole lines come out, without their ends."""
        first, *more = data.split(b"\n")
        self._rest.append(first)
        for piece in more:
            yield b"".join(self._rest)
            self._rest = [piece]
