"""What other parsers' authors found worth testing, sent to our server in pieces of every size."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.internet.task import deferLater

from tests.integration.http.peer import Received, connect, read_answers
from tests.integration.http.routes import EchoSite, Serve

_CASES = Path(__file__).with_name("corpus")
_REQUEST_LINE = re.compile(rb"[^\r\n]* HTTP/1\.1\r\n(?![ \t])")
_HOST_LINE = re.compile(rb"^[ \t]*host[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ORIGIN_FORM = re.compile(r"https?://[^/?]+(.*)")
# Above this many bytes a stream is not cut into single bytes: it would take seconds.
_LONG = 4096


def with_hosts(stream: bytes) -> bytes:
    """The stream with a Host in every head of HTTP/1.1 that lacks one.

    Most cases were written without, and would all be refused for that instead of for what they are
    about.
    """
    if not _REQUEST_LINE.match(stream.lstrip(b"\r\n")):
        return stream
    pieces = []
    done = 0
    for line in _REQUEST_LINE.finditer(stream):
        head = stream[line.end() :].partition(b"\r\n\r\n")[0]
        if not _HOST_LINE.search(head):
            pieces += [stream[done : line.end()], b"Host: localhost\r\n"]
            done = line.end()
    return b"".join([*pieces, stream[done:]])


def split(stream: bytes, how: str) -> list[bytes]:
    if how == "whole":
        return [stream]
    if how == "bytes":
        size = 1 if len(stream) < _LONG else 61
        return [stream[at : at + size] for at in range(0, len(stream), size)]
    rng = random.Random(stream)
    pieces = []
    while stream:
        size = rng.randint(1, max(1, len(stream) // 3))
        pieces.append(stream[:size])
        stream = stream[size:]
    return pieces


def differs(answer: Received, wanted: dict[str, Any]) -> bool:
    """Whether the server understood another request than the one that was sent."""
    got = json.loads(bytes.fromhex(answer.headers[b"x-echo"].decode()))
    target = wanted["t"]
    if absolute := _ORIGIN_FORM.fullmatch(target):
        target = absolute[1] if absolute[1].startswith("/") else "/" + absolute[1]
    body = base64.b64decode(wanted["b"])
    length_and_hash = (len(body), hashlib.sha1(body).hexdigest()[:16])
    return (got["m"], got["t"]) != (wanted["m"], target) or (got["n"], got["h"]) != length_and_hash


async def verdict(case: dict[str, Any], address: str, how: str) -> str:
    """Send one case; "ok", or what is wrong."""
    from twisted.internet import reactor

    expected, count = case["expect"], case["n"]
    peer = await connect(address)
    for piece in split(with_hosts(base64.b64decode(case["raw"])), how):
        if peer.closed:
            break
        peer.send(piece)
        # The next piece goes out in another turn, so that the server reads this one alone.
        await deferLater(reactor, 0, lambda: None)

    def served() -> list[Received]:
        return [answer for answer in read_answers(peer.data) if b"x-echo" in answer.headers]

    # A refusal must come by itself; only a message that is not whole yet may be waited for.
    hangs = False
    if expected == "reject" and "truncated" not in case["tags"]:
        hangs = await peer.until(lambda: peer.closed, 5.0).addErrback(lambda _: None) is None
    elif expected == "accept":
        await peer.until(lambda: peer.closed or len(served()) >= count)
    if not peer.closed:
        # The server ends what has ended: after this nothing more can come.
        peer.end_sending()
        await peer.until(lambda: peer.closed)
    answers = served()
    if hangs:
        return "hang"
    if expected == "accept":
        if len(answers) < count:
            return "refused"
        wrong = any(map(differs, answers, case["reqs"]))
        return "mismatch" if wrong or len(answers) > count else "ok"
    return "false accept" if expected != "either" and len(answers) > count else "ok"


@pytest.mark.parametrize("how", ["whole", "bytes", "random"])
@pytest.mark.parametrize("suite", ["gunicorn", "llhttp", "pico"])
async def test_corpus(suite: str, how: str, serve: Serve) -> None:
    server, address = serve(EchoSite())
    cases = [json.loads(line) for line in (_CASES / f"{suite}.jsonl").read_text().splitlines()]
    results = await DeferredList(
        [ensureDeferred(verdict(case, address, how)) for case in cases], fireOnOneErrback=True
    )
    verdicts = {case["id"]: result for case, (_, result) in zip(cases, results, strict=True)}
    counted = Counter(verdicts.values())
    bad = {case: result for case, result in verdicts.items() if result not in ("ok", "refused")}
    assert not bad
    valid = sum(case["expect"] == "accept" for case in cases)
    assert counted["refused"] <= 0.05 * valid, verdicts
    assert len(cases) == sum(counted.values())
    assert server.serving.meter.in_flight == 0
