"""Questions and answers over a socket in the file system."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from services.ops.faults import Failed
from services.ops.up import socketpath
from services.ops.up.channel import Channel, NoAnswer, ask
from services.ops.up.messages import Answer, BuiltAsked, Done, Question, Refusal, RetireAsked
from services.ops.up.socketpath import SocketPath
from tests.descriptors import descriptors_in


class Answering:
    """One that is asked.

    Attributes:
        answer: what it does with a question.
        asked: what it was asked.
    """

    def __init__(self, path: Path) -> None:
        from twisted.internet import reactor

        self.clock = Clock()
        self.asked: list[Question] = []
        self.answer: Callable[[], Deferred[Answer]] = lambda: succeed(Done())
        self.path = path
        self.channel = Channel(reactor, self.clock, path, self._answer)

    def _answer(self, question: Question) -> Deferred[Answer]:
        self.asked.append(question)
        return self.answer()

    async def ask(self, question: Question, within_s: float = 10.0) -> Answer:
        from twisted.internet import reactor

        return await ask(reactor, self.path, question, within_s=within_s)

    async def raw(self, data: bytes) -> bytes:
        """What comes back for bytes that need be no question."""

        def talk() -> bytes:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(10)
                peer.connect(str(self.path))
                peer.sendall(data)
                got = b""
                while piece := peer.recv(65536):
                    got += piece
                return got

        got: bytes = await deferToThread(talk)
        return got


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def answering(tmp_path: Path) -> AsyncIterator[Answering]:
    answering = Answering(tmp_path / "s")
    yield answering
    await answering.channel.close()
    assert not answering.path.exists()


async def test_a_question_is_answered(answering: Answering) -> None:
    assert await answering.ask(BuiltAsked("users")) == Done()
    answering.answer = lambda: succeed(Refusal("no"))
    assert await answering.ask(RetireAsked("users-1")) == Refusal("no")
    assert answering.asked == [BuiltAsked("users"), RetireAsked("users-1")]
    assert answering.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"{}\n", b'{"type":"dance"}\n', b'{"type":"built","service":"\xff"}\n']
)
async def test_what_is_no_question_is_refused(answering: Answering, line: bytes) -> None:
    assert b'"refusal","why":"not understood' in await answering.raw(line)
    assert answering.asked == []


# Deeper than any reader follows; each begins like something that is understood.
DEEP = b"[" * 100_000


async def test_a_question_that_is_nested_too_deeply_is_refused(answering: Answering) -> None:
    line = b'{"type":"built","service":"users","more":' + DEEP + b"\n"
    assert b'"refusal","why":"not understood' in await answering.raw(line)
    assert answering.asked == []
    assert await answering.ask(BuiltAsked("users")) == Done()


async def test_an_answer_that_is_nested_too_deeply_is_not_understood(tmp_path: Path) -> None:
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory, Protocol

    class Nests(Protocol):
        def dataReceived(self, data: bytes) -> None:
            assert self.transport is not None
            self.transport.write(b'{"type":"done","more":' + DEEP + b"\n")

    real: Any = reactor
    port = real.listenUNIX(str(tmp_path / "s"), Factory.forProtocol(Nests))
    with pytest.raises(NoAnswer, match="what was answered is not understood"):
        await ask(reactor, tmp_path / "s", BuiltAsked("users"), within_s=10.0)
    await port.stopListening()


async def test_one_connection_asks_one_question(answering: Answering) -> None:
    line = b'{"type":"built","service":"users"}\n'
    assert (await answering.raw(line * 3)).count(b"done") == 1
    assert len(answering.asked) == 1


async def test_a_fault_is_an_answer_too(answering: Answering) -> None:
    def fails() -> Deferred[Answer]:
        failed: Deferred[Answer] = Deferred()
        failed.errback(ZeroDivisionError("of the inside"))
        return failed

    answering.answer = fails
    answer = await answering.ask(BuiltAsked("users"))
    assert isinstance(answer, Refusal)
    assert answer.why.startswith("unexpected ZeroDivisionError")


async def test_no_wait_is_for_ever(answering: Answering) -> None:
    answering.answer = Deferred
    with pytest.raises(NoAnswer, match=r"no answer within 0.1 s"):
        await answering.ask(BuiltAsked("users"), within_s=0.1)


async def test_one_that_asks_nothing_is_let_go(answering: Answering) -> None:
    talked = Deferred.fromCoroutine(answering.raw(b'{"type":'))
    from tests.processes import until

    await until(answering.clock.getDelayedCalls, "the connection")
    answering.clock.advance(10.1)
    assert await talked == b""


async def test_where_nobody_is_that_is_told(tmp_path: Path) -> None:
    from twisted.internet import reactor

    for path in (tmp_path / "none", tmp_path / "no" / "folder" / ("d" * 120) / "s"):
        with pytest.raises(NoAnswer, match=r"cannot be opened \(No such file"):
            await ask(reactor, path, BuiltAsked("users"), within_s=1.0)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    with pytest.raises(NoAnswer, match=r"cannot be opened \(Connection refused"):
        await ask(reactor, tmp_path / "left", BuiltAsked("users"), within_s=1.0)


async def test_one_that_ends_first_is_told(tmp_path: Path) -> None:
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory, Protocol

    class Ends(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.loseConnection()

    real: Any = reactor
    port = real.listenUNIX(str(tmp_path / "s"), Factory.forProtocol(Ends))
    with pytest.raises(NoAnswer, match="it ended before it had answered"):
        await ask(reactor, tmp_path / "s", BuiltAsked("users"), within_s=10.0)
    await port.stopListening()


async def test_a_socket_that_is_gone_is_closed_all_the_same(tmp_path: Path) -> None:
    answering = Answering(tmp_path / "s")
    (tmp_path / "s").unlink()
    await answering.channel.close()


async def test_a_path_that_is_too_long_is_taken_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    answering = Answering(folder / "s")
    assert await answering.ask(BuiltAsked("users")) == Done()
    await answering.channel.close()
    assert list(folder.iterdir()) == []

    monkeypatch.setattr(socketpath, "_DESCRIPTORS", tmp_path / "none")
    with pytest.raises(Failed, match=r"too long for a socket \(\d+ bytes, at most 107\)"):
        SocketPath(folder / "s")
    short = SocketPath(tmp_path / "s")
    short.close()
    short.close()


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    path = SocketPath(folder / "s")
    assert descriptors_in(folder) == 1
    path.close()
    assert descriptors_in(folder) == 0
