"""What a worker says, whatever it is, ends neither its master nor the other workers."""

from __future__ import annotations

import json
from math import inf, nan
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from twisted.internet.task import Clock

from services.kit.backoff import RestartBackoff
from services.kit.workers import messages
from services.kit.workers.decisions import check, joined, newest
from services.kit.workers.launch import WorkerProcess
from services.kit.workers.master import Workers
from services.kit.workers.member import Member, Seat
from services.kit.workers.messages import (
    LOG_BYTES,
    Ask,
    Heard,
    Lines,
    NotUnderstood,
    Ready,
    Told,
    TooLong,
    ToWorker,
    decode_to_master,
    decode_to_worker,
    encode_line,
)
from services.kit.workers.totals import Family, Totals, families_of
from tests.deferreds import now
from tests.logs import said_by

if TYPE_CHECKING:
    from services.kit.workers.crew import Crew

MALFORMED = {
    "nothing": b"",
    "no JSON": b"Segmentation fault",
    "no UTF-8": b'{"type":"\xff"}',
    "no UTF-8 in a family": b'{"type":"told","number":1,"families":[["\xff","t","gauge",[]]]}',
    "half a surrogate": b'{"type":"cannot-start","why":"\\udc00aaaaaaaa"}',
    "another type": b'{"type":"dance"}',
    "a number that is none": (
        b'{"type":"told","number":1,"families":[["a","","gauge",[["a",{},null]]]]}'
    ),
    "a number beyond all bounds": (
        b'{"type":"told","number":1,"families":[["a","","gauge",[["a",{},1e999]]]]}'
    ),
    "a kind that there is not": b'{"type":"told","number":1,"families":[["a","","heap",[]]]}',
    "a metric without a name": b'{"type":"told","number":1,"families":[["","","gauge",[]]]}',
    "deep nesting": b'{"type":"told","number":1,"more":' + b"[" * 100_000,
}


@pytest.mark.parametrize("line", MALFORMED.values(), ids=list(MALFORMED))
def test_what_is_no_message_is_not_understood(line: bytes) -> None:
    for decode in (decode_to_master, decode_to_worker):
        with pytest.raises(NotUnderstood):
            decode(line)


def test_a_worker_that_says_nonsense_is_heard_when_it_makes_sense_again() -> None:
    heard: list[Heard] = []
    worker = WorkerProcess(7, heard.append, lambda _how, _clean: None, Clock().callLater)
    with said_by("services.kit.workers") as said:
        for line in MALFORMED.values():
            worker.childDataReceived(3, line + b"\n")
        worker.childDataReceived(3, encode_line(Ready()))
    assert heard == [Ready()]
    assert len(said) == len(MALFORMED)
    assert all(each.startswith("worker 7 is not understood (") for each in said)


def test_a_line_without_an_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_LINE_BYTES", 100)
    lines = Lines()
    for _ in range(50):
        assert list(lines.feed(b"x" * 10)) == []
    assert sum(map(len, lines._rest)) <= 100
    assert list(lines.feed(b"x\nnext\n" + b"y" * 100)) == [None, b"next"]
    assert list(lines.feed(b"\n")) == [b"y" * 100]


def test_a_line_that_is_too_long_is_heard_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_LINE_BYTES", 100)
    heard: list[Heard] = []
    worker = WorkerProcess(7, heard.append, lambda _how, _clean: None, Clock().callLater)
    with said_by("services.kit.workers") as said:
        worker.childDataReceived(3, b"x" * 101)
        assert heard == []
        worker.childDataReceived(3, b"\n" + encode_line(Ready()))
    assert heard == [TooLong(), Ready()]
    assert len(said) == 1
    assert said[0].startswith("worker 7 says more at once than is taken in")


def test_a_decision_log_as_large_as_is_told_fits_into_a_message() -> None:
    # Of all that a log is made of, what takes most room in a message.
    line = encode_line(Told(1, [], '"' * LOG_BYTES))
    assert len(line) < messages._LINE_BYTES * 3 / 4


class Gauges:
    """A worker's gauges, one of them with values of all kinds."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def collect(self) -> list[GaugeMetricFamily]:
        mixed = GaugeMetricFamily("mesh_connections", "Open.", labels=["number"])
        for number, value in enumerate(self._values):
            mixed.add_metric([str(number)], value)
        return [mixed, GaugeMetricFamily("mesh_draining", "Leaves.", 1)]


class Page:
    """What the master shows of what workers told."""

    def __init__(self, totals: Totals, living: list[list[Family]]) -> None:
        self.collect = lambda: totals.metrics(living)

    def lines(self) -> list[str]:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        page = generate_latest(registry).decode()
        return [line for line in page.splitlines() if not line.startswith("#")]


def passed_on(gauges: Gauges) -> list[Family]:
    """What the master gets of what a worker counts."""
    told = decode_to_master(encode_line(Told(1, families_of([gauges]))))
    assert isinstance(told, Told)
    return told.families


def test_numbers_that_are_none_are_left_out_of_the_sums() -> None:
    totals = Totals()
    ill, well = passed_on(Gauges(nan, inf, -inf, 4.0)), passed_on(Gauges(1.0, 2.0, 3.0, 4.0))
    for living in ([ill, well], [well, ill]):
        assert sorted(Page(totals, living).lines()) == [
            'mesh_connections{number="0"} 1.0',
            'mesh_connections{number="1"} 2.0',
            'mesh_connections{number="2"} 3.0',
            'mesh_connections{number="3"} 8.0',
            "mesh_draining 1.0",
        ]
    # Nor does it stay when the worker is dead.
    totals.retire(ill)
    assert min(Page(totals, [well]).lines()) == 'mesh_connections{number="0"} 1.0'


def test_a_sum_beyond_all_bounds_is_shown() -> None:
    most = passed_on(Gauges(1.7e308))
    assert 'mesh_connections{number="0"} +Inf' in Page(Totals(), [most, most]).lines()


def log(*entries: object) -> str:
    return "\n".join(json.dumps(entry) for entry in entries)


HEADER = {"caller": "x", "began": 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        log({"caller": "x"}),
        log(HEADER, {"entry": "call"}),
        log(HEADER, {"at_s": "noon"}),
        log(HEADER, {"at_s": 1.0, "attempts": [{}]}),
        log(HEADER, [1.0]),
        log(HEADER) + "\n" + "[" * 100_000,
        log(HEADER) + '\n{"at_s":1,"more":' + "[" * 100_000,
    ],
)
def test_what_is_no_decision_log_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check(text)


def test_a_decision_log_is_let_pass() -> None:
    for text in ("", log(HEADER), log(HEADER, {"at_s": 1, "more": {}, "attempts": [{"at_s": 2}]})):
        check(text)
        joined([text])


def test_other_ends_of_lines_are_part_of_a_decision() -> None:
    words = "a\u2028b\u2029c\u0085d"
    text = "".join(
        json.dumps(each, ensure_ascii=False) + "\n"
        for each in (HEADER, {"at_s": 1.0, "why": words})
    )
    check(text)
    _, entry = joined([text]).split(b"\n", 1)
    assert json.loads(entry)["why"] == words


ENTRIES = [{"at_s": float(at)} for at in range(10)]
WHOLE = (log(HEADER, *ENTRIES) + "\n").encode()
EACH_BYTES = len(json.dumps(ENTRIES[0])) + 1


@pytest.mark.parametrize(
    ("most_bytes", "fitting"),
    [
        (EACH_BYTES * 10, 10),
        (EACH_BYTES * 10 - 1, 9),
        (EACH_BYTES * 3, 3),
        (EACH_BYTES * 3 - 1, 2),
        (EACH_BYTES - 1, 0),
        (0, 0),
    ],
)
def test_the_newest_decisions_that_fit_are_told(most_bytes: int, fitting: int) -> None:
    text = newest(WHOLE, most_bytes).decode()
    check(text)
    header, *entries = [json.loads(line) for line in text.splitlines()]
    assert entries == ENTRIES[10 - fitting :]
    assert header.pop("left_out", 0) == 10 - fitting
    assert header == HEADER


def test_what_all_workers_left_out_is_told_together() -> None:
    cut = newest(WHOLE, EACH_BYTES * 3).decode()
    page = joined([cut, WHOLE.decode(), cut])
    assert json.loads(page.splitlines()[0]) == {**HEADER, "left_out": 14}
    assert len(page.splitlines()) == 1 + 3 + 10 + 3


class Speaker:
    """A worker's process that has a decision log."""

    pid = 1

    def __init__(self, log: str) -> None:
        self.member = Member(1, Seat(RestartBackoff(0.1, 1.0)), 0.0)
        self.member.process = self
        self._log = log

    def tell(self, message: ToWorker) -> None:
        assert isinstance(message, Ask)
        self.member.take(Told(message.number, [], self._log), 0.0)

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


def test_a_decision_log_that_is_none_does_not_hide_the_others() -> None:
    options: Any = None  # which are asked for when workers are started
    workers = Workers(options, name="users-1", reactor=None, clock=Clock())
    speakers = [Speaker(text) for text in ("nonsense", log(HEADER, {"at_s": 3.0}), "")]
    workers._crew = cast("Crew", [speaker.member for speaker in speakers])
    with said_by("services.kit.workers") as said:
        page = now(workers.decisions())
    assert [json.loads(line) for line in page.splitlines()] == [HEADER, {"at_s": 3.0}]
    assert len(said) == 1
    assert said[0].startswith("a worker's decision log is not understood and left out (")
