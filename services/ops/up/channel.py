"""One question and one answer a connection, each a line of JSON, over a socket in the file system.

The socket is its owner's alone (mode 0600): whoever can open it can run programs as that user.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004 - what addTimeout raises
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from balancer import Clock

from .messages import Answer, Question, Refusal
from .socketpath import SocketPath

_log = Logger()
# The socket's name, in the folder that holds the state.
SOCKET = "up.sock"
# A question is one small line, written at once (seconds).
_QUESTION_S = 10.0
# On one machine nobody takes longer to accept who is not stopped (seconds).
_CONNECT_S = 5.0
# Nobody has so many replicas that their list is longer (bytes).
_LINE_BYTES = 1_048_576

_read_question = msgspec.json.Decoder(Question).decode
_read_answer = msgspec.json.Decoder(Answer).decode
_encode = msgspec.json.Encoder().encode


class NoAnswer(Exception):
    """Nobody has answered; the message says how."""


class _Line(LineOnlyReceiver):
    """What both ends have in common."""

    transport: Connection
    delimiter = b"\n"
    MAX_LENGTH = _LINE_BYTES

    def say(self, message: Question | Answer) -> None:
        """Send a line."""
        self.transport.write(_encode(message) + self.delimiter)


class _Answering(_Line):
    """The end that is asked."""

    def __init__(self, clock: Clock, answer: Callable[[Question], Deferred[Answer]]) -> None:
        self._clock = clock
        self._answer = answer
        self._patience: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._patience = self._clock.callLater(_QUESTION_S, self.transport.abortConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end_patience()

    def lineReceived(self, line: bytes) -> None:
        if self._patience is None:
            return  # one question a connection
        self._end_patience()
        try:
            question = _read_question(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._send(Refusal(f"not understood ({error}); is it of another version?"))
            return
        self._answer(question).addErrback(_fault).addCallback(self._send)

    def _send(self, answer: Answer) -> None:
        # Whoever asked may be gone, which is their affair.
        self.say(answer)
        self.transport.loseConnection()

    def _end_patience(self) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        self._patience = None


def _fault(failure: Failure) -> Answer:
    _log.failure("a question could not be answered", failure)
    return Refusal(f"unexpected {type(failure.value).__name__}; see what `txmesh up` has printed")


class _Answerer(ServerFactory):
    """Makes the end that is asked."""

    noisy = False

    def __init__(self, clock: Clock, answer: Callable[[Question], Deferred[Answer]]) -> None:
        self._clock = clock
        self._answer = answer

    def buildProtocol(self, addr: IAddress | None) -> _Answering:
        return _Answering(self._clock, self._answer)


class Channel:
    """The open socket of the one that is asked."""

    def __init__(
        self,
        reactor: Any,
        clock: Clock,
        path: Path,
        answer: Callable[[Question], Deferred[Answer]],
    ) -> None:
        """Open it.

        Args:
            reactor: where it lives.
            clock: monotonic.
            path: the socket's; what is there is removed, so it must be known that nobody else is
                asked there.
            answer: answers one question.

        Raises:
            Failed: the path is too long.
            OSError: the socket cannot be opened there.
        """
        path.unlink(missing_ok=True)
        self._path = SocketPath(path)
        try:
            self._port = reactor.listenUNIX(self._path.name, _Answerer(clock, answer), mode=0o600)
        except CannotListenError as error:
            self._path.close()
            raise error.socketError from None

    def close(self) -> Deferred[None]:
        """Remove the socket; what is being answered goes on."""
        closed: Deferred[None] = self._port.stopListening()
        # Somebody may have removed it already.
        closed.addErrback(lambda failure: failure.trap(OSError) and None)
        return closed.addBoth(lambda _: self._path.close())


class _Asking(_Line):
    """The end that asks."""

    def __init__(self, question: Question) -> None:
        self.answer: Deferred[Answer] = Deferred(lambda _: self.transport.abortConnection())
        self._question = question

    def connectionMade(self) -> None:
        self.say(self._question)

    def lineReceived(self, line: bytes) -> None:
        if self.answer.called:
            return
        try:
            answer = _read_answer(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self.answer.errback(NoAnswer(f"what was answered is not understood ({error})"))
        else:
            self.answer.callback(answer)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.answer.called:
            self.answer.errback(NoAnswer("it ended before it had answered"))


async def ask(reactor: Any, path: Path, question: Question, *, within_s: float) -> Answer:
    """Ask the one that has a socket open.

    Args:
        reactor: where the connection lives.
        path: the socket's.
        question: what to ask.
        within_s: how long to wait for the answer, in seconds.

    Raises:
        NoAnswer: nobody has the socket open, or no answer came.
        Failed: the path is too long.
    """
    try:
        place = SocketPath(path)
    except OSError as error:
        raise NoAnswer(f"{path} cannot be opened ({error.strerror})") from None
    try:
        endpoint = UNIXClientEndpoint(reactor, place.name, timeout=_CONNECT_S)
        asking: _Asking = await connectProtocol(endpoint, _Asking(question))
        return await asking.answer.addTimeout(within_s, reactor)
    except ConnectError as error:
        why = os.strerror(error.osError) if error.osError else "nobody accepts"
        raise NoAnswer(f"{path} cannot be opened ({why})") from None
    except TimeoutError:
        raise NoAnswer(f"no answer within {within_s:g} s") from None
    finally:
        place.close()
