"""What master and worker tell each other: a line of JSON a message, over two pipes.

Not signals: one that comes while a worker still starts would end it, or be lost; a message waits
in the pipe until it is read. After a reload the workers' code may be newer than the master's, so an
unknown field is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias, TypeVar

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


class Relieve(msgspec.Struct, tag="relieve"):
    """Somebody told it to leave.

    Attributes:
        waits: whether it serves on until another has its place; else it leaves now.
    """

    waits: bool = True


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
ToMaster: TypeAlias = Ready | CannotStart | Relieve | Told


class TooLong(msgspec.Struct):
    """What the master hears in place of a line that is longer than any message.

    It is never sent. Whoever says so much is alive, and has answered; what it said is lost.
    """


Heard: TypeAlias = ToMaster | TooLong

# More than any message holds (bytes): a worker that has gone mad must not fill the master's memory.
_LINE_BYTES = 64 << 20
# What a worker tells of its decision log at most (bytes), far more than anybody reads. In a message
# each quotation mark in it takes two bytes, and that leaves room for the counters.
LOG_BYTES = 16 << 20

_encode = msgspec.json.Encoder().encode
_to_worker: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)
_to_master: msgspec.json.Decoder[ToMaster] = msgspec.json.Decoder(ToMaster)
_Message = TypeVar("_Message")


class NotUnderstood(Exception):
    """What was said is none of the messages; the text says where it differs."""


def decode_to_worker(line: bytes) -> ToWorker:
    """Read what the master says.

    Raises:
        NotUnderstood: it is something else.
    """
    return _decoded(_to_worker, line)


def decode_to_master(line: bytes) -> ToMaster:
    """Read what a worker says.

    Raises:
        NotUnderstood: it is something else.
    """
    return _decoded(_to_master, line)


def _decoded(decoder: msgspec.json.Decoder[_Message], line: bytes) -> _Message:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstood(str(error)) from None


def encode_line(message: ToWorker | ToMaster) -> bytes:
    """Write a message."""
    return _encode(message) + b"\n"


class Lines:
    """Cuts a stream into lines."""

    def __init__(self) -> None:
        """Begin with nothing received."""
        self._rest: list[bytes] = []
        self._bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Take in a piece of the stream.

        Returns:
            Its whole lines, without their ends; None for one that is longer than any message.
        """
        first, *more = data.split(b"\n")
        self._keep(first)
        for piece in more:
            yield b"".join(self._rest) if self._bytes <= _LINE_BYTES else None
            self._rest.clear()
            self._bytes = 0
            self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > _LINE_BYTES:
            self._rest.clear()
        else:
            self._rest.append(piece)
