"""What reaches a log of an event, in either form: never what an exception quotes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogPublisher
from twisted.python import log as older_log
from twisted.python.failure import Failure

from services.kit.logs import JsonLog, LogFile, TextLog

SECRET = "maria@example.com"


def as_json(write: Callable[[Logger], object]) -> dict[str, Any]:
    stream = io.StringIO()
    write(Logger("test", observer=JsonLog(stream, replica="users-1")))
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line


def as_text(write: Callable[[Logger], object]) -> str:
    stream = io.StringIO()
    write(Logger("test", observer=TextLog(stream)))
    return stream.getvalue()


def fail() -> None:
    raise ValueError(f"{SECRET} is taken")


def failing(words: str, **fields: Any) -> Callable[[Logger], object]:
    def write(logger: Logger) -> None:
        try:
            fail()
        except ValueError:
            logger.failure(words, **fields)

    return write


def test_an_event_in_json() -> None:
    line = as_json(lambda logger: logger.info("{what} is up", what="users", list=[1]))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "message": "users is up",
        "place": "test",
        "replica": "users-1",
        "what": "users",
    }


def test_an_event_in_text() -> None:
    text = as_text(lambda logger: logger.error("{what} is up\nand more", what="users"))
    time, _, rest = text.partition(" ")
    assert time.endswith("+00:00")
    assert rest == "error [test] users is up\n\tand more\n"


@pytest.mark.parametrize(
    ("words", "fields", "message"),
    [
        ("cannot start", {}, "cannot start"),
        ("{name} failed after {count}", {"name": "x", "count": 3}, "x failed after 3"),
        ("{name} failed: {log_failure}", {"name": "x"}, "x failed: <log_failure>"),
        ("{log_failure.value}", {}, "{log_failure.value}"),
        ("failed: {error}", {"error": ValueError(SECRET)}, "failed: <error>"),
        ("failed: {0} {", {}, "failed: {0} {"),
    ],
)
def test_a_failure_is_told_in_the_events_own_words(
    words: str, fields: dict[str, Any], message: str
) -> None:
    write = failing(words, **fields)
    line = as_json(write)
    assert SECRET not in json.dumps(line)
    assert line["message"].startswith(f"{message}: ValueError at {__file__}:")
    text = as_text(write)
    assert SECRET not in text
    assert f" critical [test] {message}: ValueError at {__file__}:" in text
    assert text.count("\n") == 1


def test_a_failure_in_twisteds_older_log() -> None:
    for why, words in (("the why", "the why"), (None, "unhandled failure")):
        stream = io.StringIO()
        publisher = LogPublisher(TextLog(stream), JsonLog(stream))
        older = older_log.LogPublisher(publishPublisher=publisher)
        try:
            fail()
        except ValueError:
            older.msg(failure=Failure(), why=why, isError=1)
        assert SECRET not in stream.getvalue()
        assert stream.getvalue().count(f"{words}: ValueError at ") == 2


def test_a_worker_says_in_text_which_one_it_is() -> None:
    stream = io.StringIO()
    Logger("test", observer=TextLog(stream, replica="users-1", worker=2)).info("hello")
    assert stream.getvalue().endswith(" info [test] worker 2 hello\n")


def test_a_log_file_is_appended_to_and_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("before\n")
    mine, others = LogFile(path), LogFile(path)
    mine.write("one\n")
    others.write("two\n")
    path.rename(tmp_path / "a.log.1")
    mine.write("three\n")
    mine.reopen()
    mine.write("four\n")
    assert (tmp_path / "a.log.1").read_text() == "before\none\ntwo\nthree\n"
    assert path.read_text() == "four\n"


def test_a_log_file_that_cannot_be_opened_anew_stays(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = LogFile(folder / "a.log")
    folder.rename(tmp_path / "moved")
    with pytest.raises(OSError, match="No such file"):
        log.reopen()
    log.write("still\n")
    assert (tmp_path / "moved" / "a.log").read_text() == "still\n"
